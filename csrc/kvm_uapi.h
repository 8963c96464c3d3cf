/* SPDX-License-Identifier: MIT */
/*
 * The kernel's interface: <linux/kvm.h>, plus definitions that it may lack.
 *
 * KVM_PPC_GET_COMPAT_CAPS is new in Linux 7.3. Its capability and request are in
 * <linux/kvm.h>, its struct and bits in powerpc's <asm/kvm.h>. A header may
 * therefore have none, some (x86) or all of the names. A header from an earlier
 * posting of the patch has the same names with other values.
 *
 * The values sent to the kernel must not depend on the header with which the
 * package was built. The shim therefore uses only the KVMPPC_ names below. They
 * are compared with the names that the header has. The result is compiled in as
 * KVMPPC_FROM_*, for `kvmppc --version` and for the tests.
 */
#ifndef KVMPPC_KVM_UAPI_H
#define KVMPPC_KVM_UAPI_H

#ifndef __linux__
#error "kvmppc needs Linux: it asks the kernel's KVM through /dev/kvm."
#elif !__has_include(<linux/kvm.h>)
#error "kvmppc needs the kernel's headers: install linux-libc-dev (Debian) or kernel-headers (Fedora, RHEL)."
#elif !__has_include(<asm/kvm.h>)
#error "kvmppc cannot work on this architecture: its kernel headers have no KVM (asm/kvm.h)."
#else

#include <stddef.h>
#include <stdint.h>
#include <linux/kvm.h>

/* The struct of linux-7.3: include/uapi/asm/kvm.h of powerpc, 24 bytes ("VER0"). */
struct kvmppc_wire_linux_7_3 {
	uint64_t size;
	uint64_t flags;
	uint64_t compat_capabilities;
};

/* The struct of patch-v4: the same three words, with the first two swapped. */
struct kvmppc_wire_patch_v4 {
	uint64_t flags;
	uint64_t size;
	uint64_t compat_capabilities;
};

#define KVMPPC_WIRE_SIZE 24

_Static_assert(sizeof(struct kvmppc_wire_linux_7_3) == KVMPPC_WIRE_SIZE, "24 bytes on every architecture");
_Static_assert(sizeof(struct kvmppc_wire_patch_v4) == KVMPPC_WIRE_SIZE, "24 bytes on every architecture");
_Static_assert(offsetof(struct kvmppc_wire_linux_7_3, size) == 0, "linux-7.3: size comes first");
_Static_assert(offsetof(struct kvmppc_wire_linux_7_3, flags) == 8, "linux-7.3: flags comes second");
_Static_assert(offsetof(struct kvmppc_wire_linux_7_3, compat_capabilities) == 16, "linux-7.3: the answer comes last");
_Static_assert(offsetof(struct kvmppc_wire_patch_v4, flags) == 0, "patch-v4: flags comes first");
_Static_assert(offsetof(struct kvmppc_wire_patch_v4, size) == 8, "patch-v4: size comes second");
_Static_assert(offsetof(struct kvmppc_wire_patch_v4, compat_capabilities) == 16, "patch-v4: the answer comes last");

/* In mainline 249 is KVM_CAP_S390_HPAGE_2G: powerpc returns 0 for it, other architectures may not. */
#define KVMPPC_CAP_LINUX_7_3 250
#define KVMPPC_CAP_PATCH_V4 249
#define KVMPPC_GET_LINUX_7_3 _IO(KVMIO, 0xb8)
#define KVMPPC_GET_PATCH_V4 _IOR(KVMIO, 0xe4, struct kvmppc_wire_patch_v4)

/* IBM numbers bits from the most significant: its bit 1 is bit 62 here. */
#define KVMPPC_BIT_POWER9 (1ULL << 62)
#define KVMPPC_BIT_POWER10 (1ULL << 61)
#define KVMPPC_BIT_POWER11 (1ULL << 60)

/*
 * For each name: whether the installed header lacks it, has the same definition
 * as this file, or has another one. This file's definition is used in all three
 * cases.
 */
#define KVMPPC_FALLBACK 0
#define KVMPPC_HEADER 1
#define KVMPPC_OTHER 2
#define KVMPPC_COMPARE(same) ((same) ? KVMPPC_HEADER : KVMPPC_OTHER)

#ifdef KVM_CAP_PPC_COMPAT_CAPS
#define KVMPPC_FROM_CAP KVMPPC_COMPARE(KVM_CAP_PPC_COMPAT_CAPS == KVMPPC_CAP_LINUX_7_3)
#else
#define KVMPPC_FROM_CAP KVMPPC_FALLBACK
#endif

#ifdef KVM_PPC_GET_COMPAT_CAPS
#define KVMPPC_FROM_REQUEST KVMPPC_COMPARE(KVM_PPC_GET_COMPAT_CAPS == KVMPPC_GET_LINUX_7_3)
#else
#define KVMPPC_FROM_REQUEST KVMPPC_FALLBACK
#endif

/* The preprocessor cannot test for a struct, but the header defines this macro together with it. */
#ifdef KVM_PPC_COMPAT_CAPS_SIZE_VER0
#define KVMPPC_SAME_PLACE(field)                                               \
	(offsetof(struct kvm_ppc_compat_caps, field) ==                        \
	 offsetof(struct kvmppc_wire_linux_7_3, field))
#define KVMPPC_FROM_STRUCT                                                     \
	KVMPPC_COMPARE(KVM_PPC_COMPAT_CAPS_SIZE_VER0 == KVMPPC_WIRE_SIZE &&    \
		       KVMPPC_SAME_PLACE(size) && KVMPPC_SAME_PLACE(flags) &&  \
		       KVMPPC_SAME_PLACE(compat_capabilities))
#else
#define KVMPPC_FROM_STRUCT KVMPPC_FALLBACK
#endif

#if defined(KVM_PPC_COMPAT_CAP_POWER9) && defined(KVM_PPC_COMPAT_CAP_POWER10) && \
	defined(KVM_PPC_COMPAT_CAP_POWER11)
#define KVMPPC_FROM_BITS                                                       \
	KVMPPC_COMPARE(KVM_PPC_COMPAT_CAP_POWER9 == KVMPPC_BIT_POWER9 &&       \
		       KVM_PPC_COMPAT_CAP_POWER10 == KVMPPC_BIT_POWER10 &&     \
		       KVM_PPC_COMPAT_CAP_POWER11 == KVMPPC_BIT_POWER11)
#else
#define KVMPPC_FROM_BITS KVMPPC_FALLBACK
#endif

#endif
#endif
