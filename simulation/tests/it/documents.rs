//! What the documents say is there is there.

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every path in backticks of the README and of ARCHITECTURE.md exists.
#[test]
fn paths_that_are_named_exist() {
    for document in ["README.md", "ARCHITECTURE.md", "docs/operations.md", "docs/security.md", "systemd/README.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let mut checked = 0;
        for word in text.split('`').skip(1).step_by(2) {
            let is_path =
                word.contains('/') && !word.contains([' ', '*', '<', '=', ':']) && !word.starts_with(['/', '-']);
            let made_by_running = word.starts_with("target/");
            if is_path && !made_by_running {
                assert!(root().join(word).exists(), "{document} names `{word}`");
                checked += 1;
            }
        }
        assert!(checked > 0, "{document} names no path");
    }
}

/// Every target of the Makefile that the README names exists.
#[test]
fn commands_that_are_named_exist() {
    let makefile = fs::read_to_string(root().join("Makefile")).unwrap();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for target in ["demo", "test", "run", "bench", "deny"] {
        assert!(makefile.contains(&format!("\n{target}:")), "{target}");
        assert!(readme.contains(&format!("make {target}")), "{target}");
    }
}

/// Every file says its licence, and only the screen is under the GPL.
#[test]
fn licences_are_as_the_readme_says() {
    for member in [
        "transit",
        "card-crypto",
        "virtual-card",
        "reader",
        "counter",
        "validator",
        "ui",
        "clearing-house",
        "simulation",
        "interoperability",
        "benches",
    ] {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        let gpl = manifest.contains("license = \"GPL-3.0-only\"");
        assert_eq!(gpl, member == "ui", "{member}");
        assert!(gpl || manifest.contains("license.workspace = true"), "{member}");
    }
}
