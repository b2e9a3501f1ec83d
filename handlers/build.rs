//! Links the release binary for Linux without tables that it has no use for: those of unwinding,
//! and those that move it to another address, as Go does. Both are loaded at every cold start.
//! For the same reason it packs the API description.

use std::path::Path;
use std::{env, fs, io};

fn pack_description() -> io::Result<()> {
    const NAME: &str = "openapi.json";
    println!("cargo::rerun-if-changed={NAME}");
    let packed = miniz_oxide::deflate::compress_to_vec(&fs::read(NAME)?, 9);
    let directory = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&directory).join("openapi.json.deflate"), packed)
}

fn main() -> io::Result<()> {
    pack_description()?;
    println!("cargo::rerun-if-changed=lean.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|v| v == value);
    let unset = |name: &str| env::var_os(name).is_none_or(|v| v.is_empty());
    // The usual linkers understand the script; one that somebody chose may not.
    let usual = unset("RUSTC_LINKER") && unset("CARGO_ENCODED_RUSTFLAGS");
    if usual
        && is("PROFILE", "release")
        && is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && let Ok(directory) = env::var("CARGO_MANIFEST_DIR")
    {
        println!("cargo::rustc-link-arg-bin=app=-no-pie");
        println!("cargo::rustc-link-arg-bin=app=-Wl,-T,{directory}/lean.ld");
    }
    Ok(())
}
