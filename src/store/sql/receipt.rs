//! Two may report on one revocation, the request that caused it and the controller: neither loses what the other saw.

use crate::api::Receipt;

/// Both reports in one. What was seen first stands. `unproven` is told whole each time, by who appends as it was read;
/// should an attempt have come in between, the next attempt puts it right.
pub fn merge(old: Receipt, new: Receipt) -> Receipt {
    let mut refused = new.refused;
    refused.extend(old.refused);
    let mut unproven = new.unproven;
    unproven.retain(|address, _| !refused.contains_key(address));
    Receipt {
        asked: if old.asked.is_empty() { new.asked } else { old.asked },
        rbac_gone: old.rbac_gone.or(new.rbac_gone),
        refused,
        unproven,
        run_cancelled: old.run_cancelled.or(new.run_cancelled),
        pods_gone: old.pods_gone.or(new.pods_gone),
        // Residue is told whole each time; a report that knows none takes none back.
        residue: if new.residue.is_empty() { old.residue } else { new.residue },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_receipt_takes_no_proof_back_and_tells_anew_what_is_unproven() {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
        let old = Receipt {
            asked: "1".into(),
            rbac_gone: Some("2".into()),
            refused: map(&[("a", "3")]),
            unproven: map(&[("b", "no route"), ("c", "no route"), ("secret", "timed out")]),
            residue: vec!["open watches".into()],
            ..Receipt::default()
        };
        let new = Receipt {
            asked: "9".into(),
            refused: map(&[("a", "9"), ("b", "9")]),
            unproven: map(&[("a", "timed out"), ("c", "timed out")]),
            pods_gone: Some("9".into()),
            ..Receipt::default()
        };
        let merged = merge(old, new);
        assert_eq!(merged.asked, "1");
        assert_eq!(merged.rbac_gone.as_deref(), Some("2"));
        assert_eq!(merged.refused, map(&[("a", "3"), ("b", "9")]));
        assert_eq!(merged.unproven, map(&[("c", "timed out")]));
        assert_eq!(merged.pods_gone.as_deref(), Some("9"));
        assert_eq!(merged.residue, ["open watches"]);
    }
}
