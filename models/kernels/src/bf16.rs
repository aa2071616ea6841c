//! Whether this machine multiplies bfloat16 numbers.

/// Instructions for products of bfloat16 numbers: a value exists only if they may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bf16 {
    tiles: bool,
}

impl Bf16 {
    /// All that this machine has, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        if dot_products() {
            if tiles::granted() {
                found.push(Self { tiles: true });
            }
            found.push(Self { tiles: false });
        }
        found
    }

    /// Whether whole tiles are multiplied (AMX), and not only pairs (AVX-512).
    pub fn has_tiles(self) -> bool {
        self.tiles
    }

    /// Its name, for reports.
    pub fn name(self) -> &'static str {
        if self.tiles { "bf16-amx" } else { "bf16-avx512" }
    }
}

#[cfg(target_arch = "x86_64")]
fn dot_products() -> bool {
    is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
}

#[cfg(not(target_arch = "x86_64"))]
fn dot_products() -> bool {
    false
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles {
    use std::arch::x86_64::__cpuid_count;
    use std::sync::OnceLock;

    /// Linux's `arch_prctl` and its request for a part of the processor's state.
    const SYS_ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;

    /// Whether the processor has tiles of bfloat16 and the kernel lets this process use them. Asked once: the
    /// permission is the process's, and threads that begin later have it too.
    pub(super) fn granted() -> bool {
        static GRANTED: OnceLock<bool> = OnceLock::new();
        *GRANTED.get_or_init(|| on_processor() && request())
    }

    /// AMX-TILE and AMX-BF16: leaf 7, EDX.
    fn on_processor() -> bool {
        let features = __cpuid_count(7, 0).edx;
        features & 1 << 24 != 0 && features & 1 << 22 != 0
    }

    fn request() -> bool {
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

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod tiles {
    pub(super) fn granted() -> bool {
        false
    }
}
