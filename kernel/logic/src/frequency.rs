//! How fast the time-stamp counter runs by the processor's own word, for machines whose timer cannot be measured.
//!
//! Pure: the leaves of CPUID are asked through a function. What they say is believed within bounds, for a wrong frequency makes times
//! wrong and nothing else.

/// Frequencies that are believed, in hertz: from the slowest emulation to twice the fastest processor.
const BELIEVED: core::ops::RangeInclusive<u64> = 1_000_000..=20_000_000_000;

/// Registers of a leaf of CPUID: EAX, EBX, ECX, EDX.
pub type Leaf = [u32; 4];

/// Cycles of the time-stamp counter for each second, if one of three leaves tells. `leaf` gives `None` for one that there is not.
///
/// 1. 0x4000_0010, of hypervisors (VMware's convention, KVM and QEMU have it): EAX is in kHz. What runs above them it knows best.
/// 2. 0x15: the counter is EBX / EAX times a crystal of ECX Hz (Intel SDM volume 3, 20.7.3).
/// 3. 0x16, if that ratio is there without the crystal's frequency, or not at all: EAX is the base frequency in MHz, rounded, at which
///    the counter runs (the same section).
pub fn told(leaf: impl Fn(u32) -> Option<Leaf>) -> Option<u64> {
    let hypervisor = leaf(0x4000_0010).map(|[kilohertz, ..]| u64::from(kilohertz) * 1000);
    let crystal = || {
        let [denominator, numerator, crystal, _] = leaf(0x15)?;
        (u64::from(crystal) * u64::from(numerator)).checked_div(denominator.into())
    };
    let base = || leaf(0x16).map(|[megahertz, ..]| u64::from(megahertz & 0xffff) * 1_000_000);
    let believed = |hertz: &u64| BELIEVED.contains(hertz);
    let known = hypervisor.filter(believed);
    known.or_else(|| crystal().filter(believed)).or_else(|| base().filter(believed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(leaves: &[(u32, Leaf)]) -> Option<u64> {
        told(|number| leaves.iter().find(|(known, _)| *known == number).map(|(_, leaf)| *leaf))
    }

    #[test]
    fn each_leaf_is_enough_and_the_best_counts() {
        // Tiger Lake: 38.4 MHz times 146 / 2. Skylake: the ratio without the crystal. KVM on the first.
        let (tiger, sky, base) = ([2, 146, 38_400_000, 0], [2, 250, 0, 0], [3000, 4200, 100, 0]);
        let kvm = [2_803_198, 1_000_000, 0, 0];
        assert_eq!(by(&[(0x15, tiger)]), Some(2_803_200_000));
        assert_eq!(by(&[(0x15, sky), (0x16, base)]), Some(3_000_000_000));
        assert_eq!(by(&[(0x16, base), (0x15, tiger), (0x4000_0010, kvm)]), Some(2_803_198_000));
        assert_eq!(by(&[(0x16, base), (0x15, tiger)]), Some(2_803_200_000));
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        assert_eq!(by(&[]), None);
        for odd in [[0; 4], [0, 5, 24_000_000, 0], [5, 0, 24_000_000, 0], [1, u32::MAX, u32::MAX, 0]] {
            assert_eq!(by(&[(0x15, odd)]), None, "{odd:?}");
        }
        // The next one is asked then.
        assert_eq!(
            by(&[(0x4000_0010, [999, 0, 0, 0]), (0x16, [0x1_0000 | 2000, 0, 0, 0])]),
            Some(2_000_000_000)
        );
    }
}
