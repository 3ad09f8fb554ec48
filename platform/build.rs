//! A new migration is a reason to build again: the compiler does not see files that a macro embeds.

fn main() {
    println!("cargo::rerun-if-changed=../migrations/postgres");
}
