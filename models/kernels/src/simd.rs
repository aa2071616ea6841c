//! Which vector instructions the processor has, and one way to write a kernel for all of them.
//!
//! A kernel is written once over `Vector` and compiled three times: plain Rust (which serves every
//! processor), AVX2 with FMA, and AVX-512. The choice is made at run time. Results differ only by the
//! rounding of fused multiply-adds.

#[cfg(target_arch = "x86_64")]
mod x86;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86::first_of_16;

/// An instruction set that this processor has: a value exists only if the processor was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Simd(Level);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Simd {
    /// All that this processor has, the best one first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") {
                found.push(Self(Level::Avx512));
            }
            if avx2 {
                found.push(Self(Level::Avx2));
            }
        }
        found.push(Self(Level::Plain));
        found
    }

    /// The best that this processor has.
    pub fn best() -> Self {
        // The standard library remembers what it detected: this costs a few loads.
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let wide = is_x86_feature_detected!("avx512f");
            return Self(if wide { Level::Avx512 } else { Level::Avx2 });
        }
        Self(Level::Plain)
    }

    /// Its name, for reports.
    pub fn name(self) -> &'static str {
        match self.0 {
            Level::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
        }
    }

    /// Floats in a vector of this instruction set.
    pub fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => 16,
            _ => 8,
        }
    }

    /// Which registers it has, for kernels that need more than floats and are written for each of them.
    pub(crate) fn registers(self) -> Registers {
        match self.0 {
            Level::Plain => Registers::Plain,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => Registers::Avx2,
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => Registers::Avx512,
        }
    }

    /// Runs a kernel in the version that was compiled for this instruction set.
    pub(crate) fn run(self, kernel: impl Kernel) {
        match self.0 {
            Level::Plain => kernel.run::<[f32; 8]>(),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this value exists only because the processor has AVX2 and FMA.
            Level::Avx2 => unsafe { x86::with_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: this value exists only because the processor has AVX-512F, AVX2 and FMA.
            Level::Avx512 => unsafe { x86::with_avx512(kernel) },
        }
    }
}

/// What instructions a `Simd` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registers {
    /// Those that every processor of the architecture has.
    Plain,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F, AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// Work that is written over vectors of any width. `run` has to be `#[inline(always)]`, and so all that it
/// calls with `V`: only code inlined into the function that enables the instructions is compiled with them.
pub(crate) trait Kernel {
    /// Does the work.
    fn run<V: Vector>(self);
}

/// Some floats side by side.
///
/// The methods of the x86 vectors may only run where their instructions are enabled, which `Simd::run` sees
/// to; the trait is not visible outside this crate.
pub(crate) trait Vector: Copy {
    /// How many floats.
    const LANES: usize;
    /// A narrower vector of the same instruction set, for what is left over.
    type Half: Vector;

    /// The same float in each lane.
    fn splat(value: f32) -> Self;

    /// Reads `LANES` floats.
    ///
    /// # Safety
    /// `from` must be valid for reading `LANES` floats; it need not be aligned to the vector.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes `LANES` floats.
    ///
    /// # Safety
    /// `to` must be valid for writing `LANES` floats; it need not be aligned to the vector.
    unsafe fn store(self, to: *mut f32);

    /// Reads the first `count` floats; the other lanes are zero.
    ///
    /// # Safety
    /// `from` must be valid for reading `count` floats, and `count` must not be above `LANES`.
    unsafe fn load_first(from: *const f32, count: usize) -> Self;

    /// Writes the first `count` floats.
    ///
    /// # Safety
    /// `to` must be valid for writing `count` floats, and `count` must not be above `LANES`.
    unsafe fn store_first(self, to: *mut f32, count: usize);

    /// `self + a * b`.
    fn plus_product(self, a: Self, b: Self) -> Self;

    /// `self + other`.
    fn plus(self, other: Self) -> Self;

    /// `min(max(self, low), high)`.
    fn clamped(self, low: Self, high: Self) -> Self;
}

impl Vector for f32 {
    const LANES: usize = 1;
    type Half = f32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        value
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise.
        unsafe { from.read() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise.
        unsafe { to.write(self) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller's promise.
        if count > 0 { unsafe { from.read() } } else { 0.0 }
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        if count > 0 {
            // SAFETY: the caller's promise.
            unsafe { to.write(self) }
        }
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        self + a * b
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    fn clamped(self, low: Self, high: Self) -> Self {
        // Not `clamp`, which must check its bounds and keep NaN: these two comparisons are one instruction
        // each.
        let floored = if self > low { self } else { low };
        if floored < high { floored } else { high }
    }
}

/// Eight floats in plain Rust: two SSE registers where there is nothing better, whatever fits elsewhere.
impl Vector for [f32; 8] {
    const LANES: usize = 8;
    type Half = f32;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        [value; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise; an array of floats is aligned like a float.
        unsafe { from.cast::<Self>().read() }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise; an array of floats is aligned like a float.
        unsafe { to.cast::<Self>().write(self) }
    }

    #[inline(always)]
    unsafe fn load_first(from: *const f32, count: usize) -> Self {
        // SAFETY: the caller's promise; lanes from `count` on are not read.
        std::array::from_fn(|lane| if lane < count { unsafe { from.add(lane).read() } } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn store_first(self, to: *mut f32, count: usize) {
        for (lane, value) in self.into_iter().take(count).enumerate() {
            // SAFETY: the caller's promise; lanes from `count` on are not written.
            unsafe { to.add(lane).write(value) }
        }
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + a[lane] * b[lane])
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        std::array::from_fn(|lane| self[lane] + other[lane])
    }

    #[inline(always)]
    fn clamped(self, low: Self, high: Self) -> Self {
        std::array::from_fn(|lane| self[lane].clamped(low[lane], high[lane]))
    }
}
