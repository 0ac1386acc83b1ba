//! Walks every pair of slot states with every event, and checks the sentences of the design on each step.
#![allow(clippy::unwrap_used, reason = "tests may assert by panicking")]

use plyos_ids::{GenerationId, LayerSetId};
use plyos_slots::{
    BadReason, BootChoice, Candidate, Event, Refusal, Slot, SlotName, SlotState, Slots, boot_choice,
};

const AT: u64 = 1_700_000_000;

fn candidate(number: u64) -> Candidate {
    Candidate {
        number,
        generation: GenerationId::from_bytes([number as u8; 32]),
        layer_set: LayerSetId::from_bytes([number as u8 + 100; 32]),
    }
}

fn slot(number: u64, state: SlotState) -> Slot {
    let Candidate { number, generation, layer_set } = candidate(number);
    Slot { state, number, generation, layer_set, changed_at: 7 }
}

fn states() -> Vec<SlotState> {
    let mut all = vec![SlotState::Empty, SlotState::Staged, SlotState::Good, SlotState::Unconfirmed];
    all.extend((0..=3).map(|left| SlotState::Trial { left, granted: 3 }));
    all.extend((1..=5).map(|n| SlotState::Bad(BadReason::from_number(n).unwrap())));
    all
}

/// Every pair of slots that the invariants allow.
fn every_slots() -> Vec<Slots> {
    let make = |number, state| if state == SlotState::Empty { Slot::EMPTY } else { slot(number, state) };
    let mut all = Vec::new();
    for a in states() {
        for b in states() {
            for preferred in [None, Some(SlotName::A), Some(SlotName::B)] {
                all.extend(Slots::checked(make(1, a), make(2, b), preferred));
            }
        }
    }
    all
}

fn every_event() -> Vec<Event> {
    let mut all = vec![Event::BootPicked, Event::Promote, Event::TriesUsedUp];
    all.extend((1..=5).map(|n| Event::FailHealth(BadReason::from_number(n).unwrap())));
    for number in [0, 1, 2, 3] {
        let new = candidate(number);
        all.extend([Event::Stage(new), Event::Activate(new), Event::Rollback(new)]);
        all.extend([0, 1, 3].map(|tries| Event::ActivateTrial(new, tries)));
    }
    all
}

/// The table once more, written from the other side: which state each slot and `preferred` must have afterwards, or
/// `None` where the event must be refused.
fn expected(slots: &Slots, event: Event) -> Option<(SlotState, SlotState, Option<SlotName>)> {
    let trial = SlotName::BOTH.into_iter().find(|n| matches!(slots.get(*n).state, SlotState::Trial { .. }));
    let outcome = |name: SlotName, state: SlotState, preferred: Option<SlotName>| match name {
        SlotName::A => Some((state, slots.b.state, preferred)),
        SlotName::B => Some((slots.a.state, state, preferred)),
    };
    let put = |new: Candidate, state: SlotState| {
        let same = slots.active().is_some_and(|active| active.generation == new.generation);
        if new.number == 0 || same {
            return None;
        }
        let name = slots.spare();
        outcome(name, state, if state == SlotState::Good { Some(name) } else { slots.preferred })
    };
    match event {
        Event::Stage(new) => put(new, SlotState::Staged),
        Event::Activate(new) => put(new, SlotState::Good),
        Event::ActivateTrial(_, 0) => None,
        Event::ActivateTrial(new, tries) => put(new, SlotState::Trial { left: tries, granted: tries }),
        Event::BootPicked => match trial.map(|name| (name, slots.get(name).state)) {
            Some((_, SlotState::Trial { left: 0, .. })) => None,
            Some((name, SlotState::Trial { left, granted })) => {
                outcome(name, SlotState::Trial { left: left - 1, granted }, slots.preferred)
            }
            _ => {
                let bootable = [&slots.a, &slots.b]
                    .into_iter()
                    .any(|s| matches!(s.state, SlotState::Good | SlotState::Unconfirmed));
                bootable.then_some((slots.a.state, slots.b.state, slots.preferred))
            }
        },
        Event::Promote => match trial {
            Some(name) => outcome(name, SlotState::Good, Some(name)),
            None if slots.a.is_good() || slots.b.is_good() => None,
            None => SlotName::BOTH
                .into_iter()
                .find(|n| slots.get(*n).state == SlotState::Unconfirmed)
                .and_then(|name| outcome(name, SlotState::Good, Some(name))),
        },
        Event::FailHealth(reason) => {
            trial.and_then(|name| outcome(name, SlotState::Bad(reason), slots.preferred))
        }
        Event::TriesUsedUp => trial
            .filter(|name| matches!(slots.get(*name).state, SlotState::Trial { left: 0, .. }))
            .and_then(|name| outcome(name, SlotState::Unconfirmed, slots.preferred)),
        Event::Rollback(former) => {
            let held = SlotName::BOTH
                .into_iter()
                .find(|n| !slots.get(*n).is_empty() && slots.get(*n).generation == former.generation);
            match held.map(|name| (name, slots.get(name).state)) {
                Some((_, SlotState::Bad(_))) => None,
                Some((name, SlotState::Good)) if slots.preferred != Some(name) => {
                    outcome(name, SlotState::Good, Some(name))
                }
                _ => put(former, SlotState::Good),
            }
        }
    }
}

#[test]
fn every_state_with_every_event() {
    let (mut applied, mut refused) = (0, 0);
    for slots in every_slots() {
        for event in every_event() {
            let found = slots.apply(event, AT);
            let shown = found.ok().map(|next| (next.a.state, next.b.state, next.preferred));
            assert_eq!(shown, expected(&slots, event), "{slots:?} with {event:?} gave {found:?}");
            let Ok(next) = found else {
                refused += 1;
                continue;
            };
            applied += 1;
            assert_eq!(next.check(), Ok(()), "{slots:?} with {event:?}");
            // The preferred good slot is never replaced before another is promoted.
            if let Some(name) = slots.preferred {
                assert_eq!(next.get(name).number, slots.get(name).number, "{slots:?} with {event:?}");
                assert_eq!(next.get(name).state, SlotState::Good, "{slots:?} with {event:?}");
            }
            // What changed is dated; what did not keeps its date.
            for name in SlotName::BOTH {
                let (before, after) = (slots.get(name), next.get(name));
                let same = (before.state, before.generation) == (after.state, after.generation);
                assert!(same || after.changed_at == AT, "{slots:?} with {event:?}");
            }
        }
    }
    assert!(applied > 500 && refused > 500, "{applied} applied, {refused} refused");
}

#[test]
fn a_trial_counts_down_and_the_good_slot_loses_nothing() {
    let mut slots = Slots::default().apply(Event::Activate(candidate(1)), 1).unwrap();
    slots = slots.apply(Event::ActivateTrial(candidate(2), 3), 2).unwrap();
    for left in [2, 1, 0] {
        assert_eq!(boot_choice(&slots), BootChoice::Trial(SlotName::B));
        slots = slots.apply(Event::BootPicked, 3).unwrap();
        assert_eq!(slots.b.state, SlotState::Trial { left, granted: 3 });
    }
    assert_eq!(slots.apply(Event::BootPicked, 4), Err(Refusal::NoTryLeft(2)));
    assert_eq!(boot_choice(&slots), BootChoice::TriesUsedUp(SlotName::B));
    slots = slots.apply(Event::TriesUsedUp, 4).unwrap();
    assert_eq!(slots.b.state, SlotState::Unconfirmed);
    for at in 5..500 {
        assert_eq!(boot_choice(&slots), BootChoice::Good(SlotName::A));
        let after = slots.apply(Event::BootPicked, at).unwrap();
        assert_eq!(after, slots, "however often the power goes");
    }
}

#[test]
fn a_second_update_during_a_trial_replaces_the_trial() {
    let slots = Slots::default().apply(Event::Activate(candidate(1)), 1).unwrap();
    let first = slots.apply(Event::ActivateTrial(candidate(2), 3), 2).unwrap();
    let second = first.apply(Event::ActivateTrial(candidate(3), 3), 3).unwrap();
    assert_eq!((second.a.number, second.b.number), (1, 3));
    assert_eq!(second.active().map(|slot| slot.number), Some(1));
}

#[test]
fn a_promotion_frees_the_former_good_slot_for_the_next_update() {
    let slots = Slots::default().apply(Event::Activate(candidate(1)), 1).unwrap();
    let trial = slots.apply(Event::ActivateTrial(candidate(2), 3), 2).unwrap();
    let good = trial.apply(Event::Promote, 3).unwrap();
    assert_eq!(good.active().map(|slot| slot.number), Some(2));
    assert_eq!(good.spare(), SlotName::A);
    assert!(good.a.is_good(), "the way back stays");
    let back = good.apply(Event::Rollback(candidate(1)), 4).unwrap();
    assert_eq!(back.active().map(|slot| slot.number), Some(1));
    assert_eq!(back.b.number, 2);
}

#[test]
fn with_nothing_good_an_unconfirmed_generation_is_the_last_resort() {
    let mut slots = Slots::default().apply(Event::ActivateTrial(candidate(1), 1), 1).unwrap();
    slots = slots.apply(Event::BootPicked, 2).unwrap().apply(Event::TriesUsedUp, 3).unwrap();
    assert_eq!(boot_choice(&slots), BootChoice::LastResort(SlotName::A));
    assert_eq!(slots.apply(Event::BootPicked, 4), Ok(slots));
    assert_eq!(slots.apply(Event::Promote, 5).unwrap().preferred, Some(SlotName::A));
    let empty = Slots::default();
    assert_eq!(boot_choice(&empty), BootChoice::Nothing);
    assert_eq!(empty.apply(Event::BootPicked, 1), Err(Refusal::NothingToBoot));
}
