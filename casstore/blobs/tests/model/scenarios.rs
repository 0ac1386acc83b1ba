//! What the writers are up to, and what is there when they begin: garbage that a clean-up will go for, as a rule.

use super::cleaner::Look;
use super::world::{B, C, D1, D2, D3, L1, L2, M1, M2, Mistake, Names};
use super::writer::{Op, Publication, WhatWasRead};

/// Two writers over some contents.
pub struct Scenario {
    pub name: &'static str,
    /// What is there, all of it old.
    pub present: Names,
    /// What manifests and links refer to.
    pub fixed: Vec<(Names, Names)>,
    /// The data of the recipe of B at the start.
    pub extents: Names,
    pub programs: [Vec<Op>; 2],
    pub look: Look,
    pub mistake: Option<Mistake>,
}

impl Scenario {
    /// Every object that there can be.
    pub fn used(&self) -> Names {
        let named = self.programs.iter().flatten().fold(0, |all, op| match *op {
            Op::Put(name) | Op::Land(name) => all | name,
            Op::PutRecipe(recipe, data, _) | Op::KeepOrPutRecipe(recipe, data) => all | recipe | data,
            _ => all,
        });
        named | self.present
    }
}

/// A push of blob B with bytes of its own, and its link.
fn push(link: Names, data: Names, mistake: Option<Mistake>) -> Vec<Op> {
    let writes = [Op::Land(data), Op::Start, Op::KeepOrPutRecipe(B, data), Op::Start, Op::Put(link)];
    let makes = link | B | data;
    let mut ops = Publication { makes, needs: 0, read: WhatWasRead::Not, writes: &writes }.ops(mistake);
    ops.push(Op::Answer);
    ops
}

fn manifest(manifest: Names, link: Names, mistake: Option<Mistake>) -> Vec<Op> {
    let writes = [Op::Start, Op::Put(manifest)];
    Publication { makes: manifest, needs: link, read: WhatWasRead::Not, writes: &writes }.ops(mistake)
}

/// Another repository takes blob B over from the one with `from`.
fn mount(link: Names, from: Names, mistake: Option<Mistake>) -> Vec<Op> {
    let writes = [Op::Start, Op::Put(link)];
    let needs = from | B;
    let mut ops = Publication { makes: link, needs, read: WhatWasRead::Not, writes: &writes }.ops(mistake);
    ops.push(Op::Answer);
    ops
}

/// A better recipe for blob B.
fn pack(data: Names, mistake: Option<Mistake>) -> Vec<Op> {
    let writes = [Op::Land(data), Op::Start, Op::PutRecipe(B, data, WhatWasRead::Not)];
    Publication { makes: data, needs: B, read: WhatWasRead::Not, writes: &writes }.ops(mistake)
}

/// Blob C, made of the data of B and some new bytes, and its link.
fn compose(link: Names, data: Names, mistake: Option<Mistake>) -> Vec<Op> {
    let recipe = Op::PutRecipe(C, data, WhatWasRead::Too);
    let writes = [Op::Land(data), Op::Start, recipe, Op::Start, Op::Put(link)];
    let makes = link | C | data;
    let mut ops = vec![Op::Read(B)];
    ops.extend(Publication { makes, needs: 0, read: WhatWasRead::Too, writes: &writes }.ops(mistake));
    ops.push(Op::Answer);
    ops
}

/// All scenarios with one clean-up that looks at what is new, and the smallest with two that look at all; with a rule left out if so
/// asked.
pub fn all(mistake: Option<Mistake>) -> Vec<Scenario> {
    let mut all = with(Look::AtNew, mistake);
    all.extend(with(Look::AtAll, mistake).into_iter().take(1));
    all
}

/// The next larger one with two clean-ups. The others have tens of millions of states.
pub fn long() -> Vec<Scenario> {
    with(Look::AtAll, None).into_iter().skip(1).take(1).collect()
}

fn with(look: Look, mistake: Option<Mistake>) -> Vec<Scenario> {
    let unused = L1 | B | D1;
    let scenario = |name, present, fixed: &[(Names, Names)], programs| Scenario {
        name,
        present,
        fixed: fixed.to_vec(),
        extents: D1,
        programs,
        look,
        mistake,
    };
    vec![
        scenario(
            "a manifest on an old blob, and a mount of that blob",
            unused,
            &[(M1, L1), (M2, L2), (L1, B), (L2, B)],
            [manifest(M1, L1, mistake), [mount(L2, L1, mistake), manifest(M2, L2, mistake)].concat()],
        ),
        scenario(
            "a pack, and a push of the same blob",
            unused,
            &[(M1, L1), (L1, B)],
            [pack(D2, mistake), [push(L1, D3, mistake), manifest(M1, L1, mistake)].concat()],
        ),
        scenario(
            "a push of an old blob into its repository, and a manifest on it",
            unused,
            &[(M1, L1), (M2, L1), (L1, B)],
            [[push(L1, D2, mistake), manifest(M1, L1, mistake)].concat(), manifest(M2, L1, mistake)],
        ),
        scenario(
            "two pushes of an old blob into two repositories",
            unused,
            &[(M1, L1), (L1, B), (L2, B)],
            [[push(L1, D2, mistake), manifest(M1, L1, mistake)].concat(), push(L2, D3, mistake)],
        ),
        scenario(
            "a pack, and a blob composed of the data that it replaces",
            M1 | unused,
            &[(M1, L1), (M2, L2), (L1, B), (L2, C)],
            [
                [pack(D2, mistake), vec![Op::Delete(M1)]].concat(),
                [compose(L2, D3, mistake), manifest(M2, L2, mistake)].concat(),
            ],
        ),
    ]
}
