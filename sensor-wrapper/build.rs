//! A file that is new in the SDK's folder must be embedded, too.

fn main() {
    println!("cargo::rerun-if-changed=../sdk/python");
}
