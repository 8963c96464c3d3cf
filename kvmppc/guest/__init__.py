"""One guest on one host: what QEMU and libvirt do there, and how to configure it to start."""
