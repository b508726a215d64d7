//! A workload as a reliability block diagram: what stands in one line is all needed, what stands below each other are alternatives.
//!
//! ```text
//!   needs: [a, any: [b, c]]   a needs d        ──[a]──[d]──┬─[b]─┬──
//!                                                          └─[c]─┘ 1 of 2
//! ```
//!
//! What a line needs for certain stands in it once, however often it is needed; alternatives show only what they need besides. So
//! single points of failure are seen as such, and a diagram is not larger than its document.

use std::collections::{HashMap, HashSet};

use model::workload::{Component, Need, Workload};

/// A part of a diagram.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Block<'w> {
    /// A component.
    Tile(Tile<'w>),
    /// All of these.
    Line(Vec<Self>),
    /// So many of these.
    Choice(usize, Vec<Self>),
}

/// A component in a diagram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tile<'w> {
    /// Which.
    pub(super) component: &'w Component,
    /// Whether it was drawn before, with what it needs.
    pub(super) again: bool,
}

/// A whole diagram.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Diagram<'w> {
    /// What the workload needs.
    pub(super) line: Vec<Block<'w>>,
    /// What makes no difference to whether it works, in the order of the document.
    pub(super) aside: Vec<&'w Component>,
}

/// The diagram of a workload that is sound: every name is defined, and nothing needs itself.
pub(super) fn diagram(workload: &Workload) -> Diagram<'_> {
    let mut building = Building {
        components: workload.components.iter().map(|component| (component.name.as_str(), component)).collect(),
        certain: HashMap::new(),
        drawn: HashSet::new(),
    };
    let line = building.line(&workload.needs, &HashSet::new());
    let aside = workload.components.iter().filter(|component| !building.drawn.contains(component.name.as_str()));
    Diagram { line, aside: aside.collect() }
}

type Names<'w> = HashSet<&'w str>;

struct Building<'w> {
    components: HashMap<&'w str, &'w Component>,
    /// What each component needs for certain, itself included.
    certain: HashMap<&'w str, Names<'w>>,
    drawn: Names<'w>,
}

impl<'w> Building<'w> {
    /// What stands in a line in which `given` stands already.
    fn line(&mut self, need: &'w Need, given: &Names<'w>) -> Vec<Block<'w>> {
        let mut all = self.certain(need);
        all.extend(given);
        let mut line = Line { given, all: &all, placed: HashSet::new(), blocks: Vec::new() };
        self.place(need, &mut line);
        line.blocks
    }

    /// What fails with certainty when one of these fails: all of a component and of everything in `all`, and of a choice what too
    /// many alternatives have in common.
    fn certain(&mut self, need: &'w Need) -> Names<'w> {
        match need {
            Need::Component(name) => self.certain_of(name),
            Need::All(parts) => parts.iter().flat_map(|part| self.certain(part)).collect(),
            Need::Any(parts) => self.common(1, parts),
            Need::AtLeast(count, parts) => self.common(*count, parts),
        }
    }

    fn certain_of(&mut self, name: &'w str) -> Names<'w> {
        if let Some(known) = self.certain.get(name) {
            return known.clone();
        }
        let mut names = Names::from([name]);
        if let Some(need) = self.components.get(name).and_then(|component| component.needs.as_ref()) {
            names.extend(self.certain(need));
        }
        self.certain.insert(name, names.clone());
        names
    }

    /// Names without which fewer than `count` parts are left.
    fn common(&mut self, count: u32, parts: &'w [Need]) -> Names<'w> {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for part in parts {
            for name in self.certain(part) {
                *times.entry(name).or_default() += 1;
            }
        }
        let spare = parts.len().saturating_sub(count as usize);
        times.into_iter().filter(|(_, times)| *times > spare).map(|(name, _)| name).collect()
    }

    fn place(&mut self, need: &'w Need, line: &mut Line<'_, 'w>) {
        match need {
            Need::Component(name) => self.place_component(name, line),
            Need::All(parts) => parts.iter().for_each(|part| self.place(part, line)),
            Need::Any(parts) => self.place_choice(need, 1, parts, line),
            Need::AtLeast(count, parts) => self.place_choice(need, *count as usize, parts, line),
        }
    }

    fn place_component(&mut self, name: &'w str, line: &mut Line<'_, 'w>) {
        if line.given.contains(name) || !line.placed.insert(name) {
            return;
        }
        let Some(component) = self.components.get(name).copied() else { return };
        let again = !self.drawn.insert(name);
        line.blocks.push(Block::Tile(Tile { component, again }));
        if let Some(need) = component.needs.as_ref().filter(|_| !again) {
            self.place(need, line);
        }
    }

    fn place_choice(&mut self, need: &'w Need, count: usize, parts: &'w [Need], line: &mut Line<'_, 'w>) {
        // What the alternatives have in common comes before them. By name, so that a document gives one drawing.
        let mut common: Vec<&str> = self.certain(need).into_iter().collect();
        common.sort_unstable();
        for name in common {
            self.place_component(name, line);
        }
        let open: Vec<&Need> = parts.iter().filter(|part| !holds(part, line.all)).collect();
        let count = count.saturating_sub(parts.len() - open.len());
        if count == 0 {
            return;
        }
        let branches: Vec<Block<'w>> = open.into_iter().map(|part| single(self.line(part, line.all))).collect();
        line.blocks.push(Block::Choice(count, branches));
    }
}

/// A line that is being put together.
struct Line<'l, 'w> {
    /// What stands in a line around it.
    given: &'l Names<'w>,
    /// This, and what it will have for certain.
    all: &'l Names<'w>,
    placed: Names<'w>,
    blocks: Vec<Block<'w>>,
}

/// Whether a need is fulfilled where all of these work.
fn holds(need: &Need, given: &Names<'_>) -> bool {
    let holding = |parts: &[Need]| parts.iter().filter(|part| holds(part, given)).count();
    match need {
        Need::Component(name) => given.contains(name.as_str()),
        Need::All(parts) => holding(parts) == parts.len(),
        Need::Any(parts) => holding(parts) > 0,
        Need::AtLeast(count, parts) => holding(parts) >= *count as usize,
    }
}

fn single(mut line: Vec<Block<'_>>) -> Block<'_> {
    match (line.len(), line.pop()) {
        (1, Some(block)) => block,
        (_, last) => {
            line.extend(last);
            Block::Line(line)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use model::workload::Objectives;
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn workload(components: Vec<Component>, needs: Need) -> Workload {
        Workload {
            name: "shop".to_owned(),
            criticality: None,
            objectives: Objectives::default(),
            places: Vec::new(),
            components,
            needs,
            improvements: Vec::new(),
        }
    }

    fn name(name: &str) -> Need {
        Need::Component(name.to_owned())
    }

    /// A diagram in letters: what stands in a line, `k(a|b)` for a choice, `a'` for what was drawn before.
    fn written(blocks: &[Block<'_>]) -> String {
        let one = |block: &Block<'_>| match block {
            Block::Tile(tile) => format!("{}{}", tile.component.name, if tile.again { "'" } else { "" }),
            Block::Line(parts) => written(parts),
            Block::Choice(count, parts) => {
                let parts: Vec<String> = parts.iter().map(|part| written(std::slice::from_ref(part))).collect();
                format!("{count}({})", parts.join("|"))
            }
        };
        blocks.iter().map(one).collect::<Vec<_>>().join(" ")
    }

    fn drawn(components: &[(&str, Option<Need>)], needs: Need) -> String {
        let components = components
            .iter()
            .map(|(name, needs)| Component { needs: needs.clone(), ..Component::named(*name) })
            .collect();
        let workload = workload(components, needs);
        let diagram = diagram(&workload);
        let aside: Vec<&str> = diagram.aside.iter().map(|component| component.name.as_str()).collect();
        format!("{}/{}", written(&diagram.line), aside.join(" "))
    }

    #[test]
    fn what_is_needed_stands_in_one_line_once() {
        let parts = [
            ("web", Some(Need::All(vec![name("db"), name("pay")]))),
            ("api", Some(name("db"))),
            ("db", None),
            ("pay", None),
            ("mail", None),
        ];
        assert_eq!(drawn(&parts, Need::All(vec![name("web"), name("api")])), "web db pay api/mail");
    }

    #[test]
    fn what_alternatives_have_in_common_is_no_alternative() {
        let parts = [("a", Some(name("db"))), ("b", Some(name("db"))), ("db", Some(name("disk"))), ("disk", None)];
        assert_eq!(drawn(&parts, Need::Any(vec![name("a"), name("b")])), "db disk 1(a|b)/");
        let three = Need::AtLeast(2, vec![name("a"), name("b"), name("disk")]);
        // Without the database only the disk is left of three, and two are needed.
        assert_eq!(drawn(&parts, three), "db disk 1(a|b)/");
        let one = Need::Any(vec![name("a"), name("disk")]);
        assert_eq!(drawn(&parts, Need::Any(vec![one, name("b")])), "disk 0/a b db".replace(" 0", ""));
    }

    #[test]
    fn alternatives_to_what_is_needed_anyway_make_no_difference() {
        let parts = [("db", None), ("cache", None)];
        let needs = Need::All(vec![name("db"), Need::Any(vec![name("db"), name("cache")])]);
        assert_eq!(drawn(&parts, needs), "db/cache");
    }

    /// Workloads of up to `most` components, each of which may need later ones.
    pub(in super::super) fn any_workload(most: usize) -> impl Strategy<Value = Workload> {
        let need = |from: usize, of: usize| {
            let leaf = (from..of).prop_map(|at| Need::Component(format!("component-{at}")));
            leaf.prop_recursive(3, 12, 4, |inner| {
                prop_oneof![
                    prop::collection::vec(inner.clone(), 1..4).prop_map(Need::All),
                    prop::collection::vec(inner.clone(), 1..4).prop_map(Need::Any),
                    (prop::collection::vec(inner, 1..5), 1_u32..5).prop_map(|(parts, count)| {
                        let count = count.min(u32::try_from(parts.len()).unwrap_or(1));
                        Need::AtLeast(count, parts)
                    }),
                ]
            })
        };
        (1..=most).prop_flat_map(move |of| {
            let needs: Vec<_> = (0..of)
                .map(|at| if at + 1 < of { prop::option::of(need(at + 1, of)).boxed() } else { Just(None).boxed() })
                .collect();
            (needs, need(0, of), prop::collection::vec(1_u32..4, of)).prop_map(|(needs, whole, counts)| {
                let parts = needs.into_iter().zip(counts).enumerate().map(|(at, (needs, count))| Component {
                    needs,
                    count,
                    ..Component::named(format!("component-{at}"))
                });
                workload(parts.collect(), whole)
            })
        })
    }

    /// Whether a diagram conducts from left to right where only `up` works.
    fn conducts(blocks: &[Block<'_>], up: &dyn Fn(&str) -> bool) -> bool {
        blocks.iter().all(|block| match block {
            Block::Tile(tile) => up(&tile.component.name),
            Block::Line(parts) => conducts(parts, up),
            Block::Choice(count, parts) => {
                parts.iter().filter(|part| conducts(std::slice::from_ref(*part), up)).count() >= *count
            }
        })
    }

    fn works(workload: &Workload, need: &Need, up: &dyn Fn(&str) -> bool) -> bool {
        let holding = |parts: &[Need]| parts.iter().filter(|part| works(workload, part, up)).count();
        match need {
            Need::Component(name) => {
                let component = workload.components.iter().find(|component| component.name == *name).unwrap();
                up(name) && component.needs.as_ref().is_none_or(|need| works(workload, need, up))
            }
            Need::All(parts) => holding(parts) == parts.len(),
            Need::Any(parts) => holding(parts) > 0,
            Need::AtLeast(count, parts) => holding(parts) >= *count as usize,
        }
    }

    proptest! {
        /// A tile that was drawn before stands for the component and what it needs; that aside, the drawing is the design.
        #[test]
        fn the_diagram_conducts_when_the_workload_works(workload in any_workload(7), down in any::<u8>()) {
            let up = |name: &str| {
                let at: u32 = name.rsplit('-').next().unwrap().parse().unwrap();
                down & (1 << at) == 0
            };
            let with_needs = |name: &str| works(&workload, &Need::Component(name.to_owned()), &up);
            let diagram = diagram(&workload);
            let is_up = works(&workload, &workload.needs, &up);
            prop_assert_eq!(conducts(&diagram.line, &with_needs), is_up);
            // Where nothing is drawn twice, the tiles alone say it.
            if !written(&diagram.line).contains('\'') {
                prop_assert_eq!(conducts(&diagram.line, &up), is_up);
            }
        }
    }
}
