//! Whether this machine multiplies tiles of bfloat16 numbers (AMX).

/// Instructions for products of bfloat16 tiles: a value exists only if they may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bf16(());

impl Bf16 {
    /// Asks processor and kernel. The answer is remembered; Linux gives the permission to the whole process.
    pub fn available() -> Option<Self> {
        granted().then_some(Self(()))
    }

    /// Their name, for reports.
    pub fn name(self) -> &'static str {
        "amx-bf16"
    }
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn granted() -> bool {
    static GRANTED: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *GRANTED.get_or_init(|| linux::on_processor() && linux::request())
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
fn granted() -> bool {
    false
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod linux {
    use std::arch::x86_64::__cpuid_count;

    /// Linux's `arch_prctl` and its request for a part of the processor's state.
    const SYS_ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;

    /// AMX-TILE and AMX-BF16 (leaf 7, EDX), and the vectors that round to bfloat16.
    pub(super) fn on_processor() -> bool {
        let vectors = is_x86_feature_detected!("avx512bf16")
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma");
        let features = __cpuid_count(7, 0).edx;
        vectors && features & 1 << 24 != 0 && features & 1 << 22 != 0
    }

    /// Whether the kernel lets this process use tiles; it refuses where it does not know them.
    pub(super) fn request() -> bool {
        let answer: i64;
        // SAFETY: the call only asks for a permission; it reads and writes no memory of this process.
        unsafe {
            std::arch::asm!(
                "syscall",
                inlateout("rax") SYS_ARCH_PRCTL => answer,
                in("rdi") ARCH_REQ_XCOMP_PERM,
                in("rsi") XFEATURE_XTILEDATA,
                lateout("rcx") _,
                lateout("r11") _,
                options(nostack),
            );
        }
        answer == 0
    }
}
