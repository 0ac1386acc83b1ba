//! One slot: its state, the generation it names, and the 96 bytes it has in the superblock.

use core::fmt;

use plyos_bytemap::{View, put};
use plyos_ids::{GenerationId, LayerSetId};

/// The byte map of a slot.
pub mod layout {
    plyos_bytemap::byte_map! {
        /// See docs/formats.md, "Store".
        pub mod slot = "slot", 96 {
            STATE: 0, 1;
            TRIES_LEFT: 1, 1;
            TRIES_GRANTED: 2, 1;
            REASON: 3, 1;
            RESERVED: 4, 4;
            NUMBER: 8, 8;
            GENERATION_ID: 16, 32;
            LAYER_SET: 48, 32;
            CHANGED_AT: 80, 8;
            RESERVED2: 88, 8;
        }
    }
}
use layout::slot;

/// Which of the two slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SlotName {
    /// Slot A; number 1 in the superblock's `preferred`.
    A = 1,
    /// Slot B; number 2.
    B = 2,
}

impl SlotName {
    /// Both, in order.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

impl fmt::Display for SlotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::A => "A",
            Self::B => "B",
        })
    }
}

/// Why a generation is bad. Numbers are frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum BadReason {
    /// Its health check failed.
    HealthCheck = 1,
    /// The kernel panicked.
    Panic = 2,
    /// The watchdog bit.
    Watchdog = 3,
    /// What the store holds of it did not verify.
    Damaged = 4,
    /// Somebody said so.
    Operator = 5,
}

impl BadReason {
    /// The reason of a number, if it is known here.
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::HealthCheck),
            2 => Some(Self::Panic),
            3 => Some(Self::Watchdog),
            4 => Some(Self::Damaged),
            5 => Some(Self::Operator),
            _ => None,
        }
    }

    /// The words for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HealthCheck => "health check failed",
            Self::Panic => "kernel panic",
            Self::Watchdog => "watchdog",
            Self::Damaged => "damaged",
            Self::Operator => "set by the operator",
        }
    }
}

impl fmt::Display for BadReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a slot's generation is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum SlotState {
    /// The slot names no generation.
    #[default]
    Empty,
    /// Complete in the store, to be activated later.
    Staged,
    /// To be booted or running, until health says good or bad or the tries are used up.
    Trial {
        /// Boots that may still be tried; 0: the last one is running, or is over.
        left: u8,
        /// What the trial started with; at least 1, never below `left`.
        granted: u8,
    },
    /// Proven, or activated without a health policy.
    Good,
    /// The tries were used up with no evidence for or against it.
    Unconfirmed,
    /// There is evidence against it.
    Bad(BadReason),
}

impl SlotState {
    /// Whether its generation is still wanted, so that the store must keep every byte of it.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Staged | Self::Trial { .. } | Self::Good)
    }
}

impl fmt::Display for SlotState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty"),
            Self::Staged => f.write_str("staged"),
            Self::Trial { left, granted } => write!(f, "trial ({left} of {granted} tries left)"),
            Self::Good => f.write_str("good"),
            Self::Unconfirmed => f.write_str("unconfirmed"),
            Self::Bad(reason) => write!(f, "bad ({reason})"),
        }
    }
}

/// One slot. An empty one has zeroes in every other field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Slot {
    /// What the generation is worth.
    pub state: SlotState,
    /// The generation's number; 0 only when empty.
    pub number: u64,
    /// Which generation.
    pub generation: GenerationId,
    /// Its set of layers, remembered when it turns out bad.
    pub layer_set: LayerSetId,
    /// When the state last changed, seconds since 1970-01-01 UTC.
    pub changed_at: u64,
}

/// Why 96 bytes are not a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    /// Not 96 bytes.
    #[error("a slot is 96 bytes")]
    Length,
    /// A state or reason that is not known here.
    #[error("its state {0} or reason {1} is not known here; update this program")]
    Unknown(u8, u8),
    /// Fields that contradict the state, or reserved bytes in use.
    #[error("its fields contradict its state")]
    Malformed,
}

impl Slot {
    /// Bytes of a slot in the superblock.
    pub const SIZE: usize = slot::SIZE;

    /// A slot that names nothing.
    pub const EMPTY: Self = Self {
        state: SlotState::Empty,
        number: 0,
        generation: GenerationId::from_bytes([0; 32]),
        layer_set: LayerSetId::from_bytes([0; 32]),
        changed_at: 0,
    };

    /// Whether it names no generation.
    pub const fn is_empty(&self) -> bool {
        matches!(self.state, SlotState::Empty)
    }

    /// Whether its generation is good.
    pub const fn is_good(&self) -> bool {
        matches!(self.state, SlotState::Good)
    }

    /// Whether it is on trial.
    pub const fn is_trial(&self) -> bool {
        matches!(self.state, SlotState::Trial { .. })
    }

    /// Reads the 96 bytes of a slot; any contradiction is refused, so that each slot has one spelling.
    pub fn parse(bytes: &[u8]) -> Result<Self, SlotError> {
        if bytes.len() != slot::SIZE {
            return Err(SlotError::Length);
        }
        let view = View::new(bytes, &slot::LAYOUT).ok_or(SlotError::Length)?;
        let (number, reason) = (view.u8(slot::STATE), view.u8(slot::REASON));
        let (left, granted) = (view.u8(slot::TRIES_LEFT), view.u8(slot::TRIES_GRANTED));
        let state = match number {
            0 => SlotState::Empty,
            1 => SlotState::Staged,
            2 => SlotState::Trial { left, granted },
            3 => SlotState::Good,
            4 => SlotState::Unconfirmed,
            5 => SlotState::Bad(BadReason::from_number(reason).ok_or(SlotError::Unknown(number, reason))?),
            _ => return Err(SlotError::Unknown(number, reason)),
        };
        let found = Self {
            state,
            number: view.u64(slot::NUMBER),
            generation: GenerationId::from_bytes(view.array(slot::GENERATION_ID)),
            layer_set: LayerSetId::from_bytes(view.array(slot::LAYER_SET)),
            changed_at: view.u64(slot::CHANGED_AT),
        };
        let tries_fit = match state {
            SlotState::Trial { left, granted } => granted > 0 && left <= granted,
            _ => left == 0 && granted == 0,
        };
        let reason_fits = reason == 0 || matches!(state, SlotState::Bad(_));
        let emptiness_fits = if found.is_empty() { found == Self::EMPTY } else { found.number != 0 };
        let reserved = view.is_zero(slot::RESERVED) && view.is_zero(slot::RESERVED2);
        if tries_fit && reason_fits && emptiness_fits && reserved {
            Ok(found)
        } else {
            Err(SlotError::Malformed)
        }
    }

    /// The 96 bytes.
    pub fn emit(&self) -> [u8; slot::SIZE] {
        let mut out = [0; slot::SIZE];
        let (state, left, granted, reason) = match self.state {
            SlotState::Empty => (0, 0, 0, 0),
            SlotState::Staged => (1, 0, 0, 0),
            SlotState::Trial { left, granted } => (2, left, granted, 0),
            SlotState::Good => (3, 0, 0, 0),
            SlotState::Unconfirmed => (4, 0, 0, 0),
            SlotState::Bad(reason) => (5, 0, 0, reason as u8),
        };
        put(&mut out, slot::STATE, &[state]);
        put(&mut out, slot::TRIES_LEFT, &[left]);
        put(&mut out, slot::TRIES_GRANTED, &[granted]);
        put(&mut out, slot::REASON, &[reason]);
        put(&mut out, slot::NUMBER, &self.number.to_le_bytes());
        put(&mut out, slot::GENERATION_ID, self.generation.as_bytes());
        put(&mut out, slot::LAYER_SET, self.layer_set.as_bytes());
        put(&mut out, slot::CHANGED_AT, &self.changed_at.to_le_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn states() -> impl Strategy<Value = SlotState> {
        prop_oneof![
            Just(SlotState::Staged),
            (1u8..=255, 0u8..=255)
                .prop_map(|(granted, left)| SlotState::Trial { left: left.min(granted), granted }),
            Just(SlotState::Good),
            Just(SlotState::Unconfirmed),
            (1u8..=5).prop_map(|n| SlotState::Bad(BadReason::from_number(n).unwrap())),
        ]
    }

    prop_compose! {
        fn slots()(state in states(), number in 1u64.., id in any::<[u8; 32]>(), set in any::<[u8; 32]>(), at in any::<u64>())
            -> Slot {
            Slot { state, number, generation: GenerationId::from_bytes(id), layer_set: LayerSetId::from_bytes(set), changed_at: at }
        }
    }

    proptest! {
        #[test]
        fn value_round_trip(slot in slots()) {
            prop_assert_eq!(Slot::parse(&slot.emit()), Ok(slot));
        }

        #[test]
        fn mutated_bytes_are_refused_or_round_trip(slot in slots(), at in 0usize..96, value in any::<u8>()) {
            let mut bytes = slot.emit();
            bytes[at] = value;
            if let Ok(found) = Slot::parse(&bytes) {
                prop_assert_eq!(found.emit(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(found) = Slot::parse(&bytes) {
                prop_assert_eq!(&found.emit()[..], &bytes[..]);
            }
        }
    }

    #[test]
    fn empty_is_all_zero() {
        assert_eq!(Slot::EMPTY.emit(), [0; 96]);
        assert_eq!(Slot::parse(&[0; 96]), Ok(Slot::EMPTY));
        assert_eq!(Slot::default(), Slot::EMPTY);
    }

    #[test]
    fn contradictions_are_refused() {
        let good = Slot { state: SlotState::Good, number: 4, ..Slot::EMPTY };
        let with = |at: usize, value: u8| {
            let mut bytes = good.emit();
            bytes[at] = value;
            Slot::parse(&bytes)
        };
        assert_eq!(with(0, 6), Err(SlotError::Unknown(6, 0)), "unknown state");
        assert_eq!(with(0, 5), Err(SlotError::Unknown(5, 0)), "bad without a reason");
        assert_eq!(with(0, 2), Err(SlotError::Malformed), "trial without tries");
        assert_eq!(with(0, 0), Err(SlotError::Malformed), "empty with a number");
        assert_eq!(with(1, 1), Err(SlotError::Malformed), "good with tries left");
        assert_eq!(with(2, 1), Err(SlotError::Malformed), "good with tries granted");
        assert_eq!(with(3, 1), Err(SlotError::Malformed), "good with a reason");
        assert_eq!(with(4, 1), Err(SlotError::Malformed), "reserved");
        assert_eq!(with(95, 1), Err(SlotError::Malformed), "reserved at the end");
        assert_eq!(with(8, 0), Err(SlotError::Malformed), "no number");
        let mut more_left =
            Slot { state: SlotState::Trial { left: 3, granted: 3 }, number: 1, ..Slot::EMPTY }.emit();
        more_left[1] = 4;
        assert_eq!(Slot::parse(&more_left), Err(SlotError::Malformed), "more tries left than granted");
        assert_eq!(Slot::parse(&[0; 95]), Err(SlotError::Length));
    }
}
