"""One guest on one host: what QEMU and libvirt do there, and what to write so that it starts."""
