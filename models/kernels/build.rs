//! Compiles the GPU's kernels where a feature asks for it: with CUDA's compiler for devices, and with the C++ compiler for
//! the host that plays a device in tests. Otherwise does nothing.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=cuda");
    #[cfg(feature = "cuda")]
    for_devices();
    #[cfg(feature = "cuda-host")]
    for_the_host();
}

/// Machine code of devices of compute capability 8.0 and 9.0, which serves 8.x and 9.x, and an intermediate form that the
/// driver compiles for later ones.
#[cfg(feature = "cuda")]
fn for_devices() {
    println!("cargo::rerun-if-env-changed=CUDA_HOME");
    let home =
        std::env::var("CUDA_HOME").expect("CUDA_HOME should name a toolkit; tools/cuda_home.sh makes one");
    let out = std::env::var("OUT_DIR").expect("cargo should say where to build");
    let status = std::process::Command::new(format!("{home}/bin/nvcc"))
        // Products and sums are rounded as on the CPU; kernels fuse where they say so.
        .args(["-std=c++17", "-O3", "-fmad=false", "--Werror", "all-warnings", "-Xptxas", "-warn-spills"])
        .args(["-gencode", "arch=compute_80,code=sm_80", "-gencode", "arch=compute_90,code=sm_90"])
        .args(["-gencode", "arch=compute_90,code=compute_90"])
        .args(["-fatbin", "-o", &format!("{out}/kernels.fatbin"), "cuda/kernels.cu"])
        .status();
    assert!(
        status.is_ok_and(|status| status.success()),
        "CUDA's compiler {home}/bin/nvcc should compile the kernels"
    );
}

#[cfg(feature = "cuda-host")]
fn for_the_host() {
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").define("KINORA_HOST", None).file("cuda/host.cpp");
    // The same rounding as on the device; optimised also where the build is not, or networks take minutes.
    build.flag("-ffp-contract=off").flag("-Wno-unused-function").opt_level(3).warnings_into_errors(true);
    if std::env::var("CARGO_CFG_TARGET_ARCH").as_deref() == Ok("x86_64") {
        // Fused products and half precision in hardware.
        build.flag("-march=x86-64-v3");
    }
    build.compile("kinora_cuda_host");
}
