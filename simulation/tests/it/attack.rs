//! What attackers gain.

use std::path::Path;

use simulation::attack::run;

#[test]
fn rides_never_exceed_debits_and_nobody_is_paid_without_a_card() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let report = run(&fixtures).unwrap();
    eprintln!("{report}");
    for attack in &report.attacks {
        assert_eq!(attack.problem, None, "{}", attack.attacker);
        assert!(attack.tries > 0, "{}", attack.attacker);
        if !attack.needs_copied_card {
            assert_eq!(attack.exposure_vnd, 0, "{}", attack.attacker);
            assert!(attack.rides <= attack.debits, "{attack:?}");
        }
    }
    // Twelve rides at 8,000 đồng until the deny list is there.
    assert_eq!(report.exposure_vnd(), 96_000);
}
