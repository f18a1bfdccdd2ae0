//! The arrows of ARCHITECTURE.md are those of the manifests.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, MetadataCommand};

type Arrows = BTreeMap<String, BTreeSet<String>>;

#[test]
fn the_drawing_is_what_cargo_builds() {
    let metadata = MetadataCommand::new().no_deps().other_options(["--offline".to_owned()]).exec().unwrap();
    let members: BTreeSet<String> = metadata.packages.iter().map(|package| package.name.to_string()).collect();
    let arrows = |wanted: DependencyKind| -> Arrows {
        let of = |package: &cargo_metadata::Package| {
            let ours = package.dependencies.iter().filter(|dependency| dependency.kind == wanted);
            ours.map(|dependency| dependency.name.clone()).filter(|name| members.contains(name)).collect()
        };
        metadata.packages.iter().map(|package| (package.name.to_string(), of(package))).collect()
    };
    let (normal, tests) = drawing();
    assert_eq!(arrows(DependencyKind::Normal), normal);
    assert_eq!(arrows(DependencyKind::Development), tests);
}

/// The arrows of the drawing: what a crate is built from, and what its tests use besides.
fn drawing() -> (Arrows, Arrows) {
    let text = include_str!("../../../ARCHITECTURE.md");
    let start = text.find("```text\ntransit ").unwrap() + "```text\n".len();
    let drawing = &text[start..start + text[start..].find("```").unwrap()];
    let names =
        |list: &str| list.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let mut arrows = (Arrows::new(), Arrows::new());
    for line in drawing.lines() {
        let (from, to) = line.split_once('→').unwrap();
        let (normal, tests) = to.split_once("; tests:").unwrap_or((to, ""));
        arrows.0.insert(from.trim().to_owned(), names(normal));
        arrows.1.insert(from.trim().to_owned(), names(tests));
    }
    arrows
}

/// Nothing that is only for virtual cards is in what a city runs.
#[test]
fn the_virtual_card_is_in_no_product() {
    let (normal, _) = drawing();
    for product in ["validator", "counter", "clearing-house", "ui"] {
        assert!(!normal[product].contains("virtual-card"), "{product}");
    }
}
