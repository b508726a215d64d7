//! The block diagram of a workload as SVG.
//!
//! A tile says what it is called, how available one unit is, how many units there are and how many it takes, where they lie, and how
//! much of the downtime would go if it never failed. Text is cut to fit; the whole of it is in the tile's title.

use std::collections::{HashMap, HashSet};

use assess::availability::{Assessment, Cause};
use model::{
    figures::{part, percent},
    workload::{Component, Need, Workload},
};

use super::{
    blocks::{Block, Tile, diagram},
    layout::{Placed, SIGN, Sign, Size, Strip, shelves, strips},
};
use crate::paper::{
    Markup, SHEETS, Sheet,
    lettering::{BOLD, fit, lines, width},
    write,
};

/// Components beyond which nobody reads a diagram, and a browser is slow to draw it.
const MOST: usize = 400;
/// The letters of names and of all else.
const NAME: f64 = 12.5;
const SMALL: f64 = 11.0;
/// Between a tile's frame and its text.
const INSET: f64 = 10.0;
/// How far the cards of a stack are apart.
const STACK: f64 = 4.0;
/// The height of the sign of a place, and what it has beside its name.
const CHIP: f64 = 15.0;
const CHIP_INSET: f64 = 5.0;
/// A share of the downtime that a bar shows: less is no pixel wide.
const LEAST_SHARE: f64 = 0.005;
/// Colours of places; with more than these they come round again, and the names tell them apart.
const COLOURS: usize = 6;

/// The width of a tile: four of them stand in a row, on a phone two.
const fn tile_width(sheet: Sheet) -> f64 {
    match sheet {
        Sheet::Wide => 204.0,
        Sheet::Narrow => 130.0,
        Sheet::Printed => 136.0,
    }
}

/// The drawing for every sheet. None of a workload without components, or of one that is too large to be read.
pub(super) fn drawing(workload: &Workload, assessment: &Assessment) -> Option<String> {
    if workload.components.is_empty() || workload.components.len() > MOST {
        return None;
    }
    let look = Look::of(workload, assessment);
    let diagram = diagram(workload);
    let said = format!("{} works when these work: {}.", workload.name, said(&diagram.line));
    let mut text = "<figure class=\"blocks\">".to_owned();
    for (sheet, paper) in SHEETS {
        let size = look.size(workload, tile_width(sheet), false);
        let strips = strips(&diagram.line, size, paper);
        for (at, strip) in strips.iter().enumerate() {
            let place = Place { at, of: strips.len(), said: &said };
            look.strip(&mut text, strip, size, sheet, Some(&place));
        }
    }
    text.push_str("</figure>\n");
    if !diagram.aside.is_empty() {
        text.push_str("<h3 class=\"aside\">What it can do without</h3>\n<figure class=\"blocks\">");
        let tiles: Vec<Tile<'_>> = diagram.aside.iter().map(|component| Tile { component, again: false }).collect();
        for (sheet, paper) in SHEETS {
            let size = look.size(workload, tile_width(sheet), true);
            for strip in shelves(&tiles, size, paper) {
                look.strip(&mut text, &strip, size, sheet, None);
            }
        }
        text.push_str("</figure>\n");
    }
    text.push_str(&look.legend(workload));
    Some(text)
}

/// Which of the strips of a diagram one is.
struct Place<'a> {
    at: usize,
    of: usize,
    said: &'a str,
}

/// A diagram in words.
fn said(blocks: &[Block<'_>]) -> String {
    let one = |block: &Block<'_>| match block {
        Block::Tile(Tile { component: Component { name, count, enough, .. }, .. }) => {
            if *count > 1 {
                format!("{name} ({enough} of {count} units)")
            } else {
                name.clone()
            }
        }
        Block::Line(parts) => said(parts),
        Block::Choice(count, parts) => {
            let parts: Vec<String> = parts.iter().map(|part| said(std::slice::from_ref(part))).collect();
            format!("{count} of [{}]", parts.join("; "))
        }
    };
    blocks.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// What there is to say of components beside the design.
struct Look<'w> {
    single: HashSet<&'w str>,
    share: HashMap<&'w str, f64>,
    /// Zones and regions in which something lies, in the order of the document.
    places: Vec<&'w str>,
    /// What makes no difference, and why.
    aside: HashMap<&'w str, String>,
}

impl<'w> Look<'w> {
    fn of(workload: &'w Workload, assessment: &'w Assessment) -> Self {
        let expected = assessment.expected.as_ref();
        let singles = expected.iter().flat_map(|expected| &expected.single_points);
        let mut share: HashMap<&str, f64> = HashMap::new();
        for one in expected.iter().flat_map(|expected| &expected.contributions) {
            if !matches!(one.cause, Cause::Place(_)) {
                *share.entry(one.cause.name()).or_default() += one.importance.criticality;
            }
        }
        let used: HashSet<&str> =
            workload.components.iter().flat_map(|component| &component.places).map(String::as_str).collect();
        let places = workload.places.iter().map(|place| place.name.as_str()).filter(|name| used.contains(name));
        let aside = workload.components.iter().map(|component| (component.name.as_str(), why(workload, component)));
        Self { single: singles.map(Cause::name).collect(), share, places: places.collect(), aside: aside.collect() }
    }

    /// A size into which every tile fits: two lines for names where one of them takes two, one for facts, and one for places or reasons.
    fn size(&self, workload: &Workload, tile: f64, aside: bool) -> Size {
        let room = tile - STACK - 2.0 * INSET;
        let names = workload.components.iter().map(|component| lines(&component.name, NAME * BOLD, room, 2).len());
        let name_lines = if names.max() > Some(1) { 2.0 } else { 1.0 };
        let foot = if self.places.is_empty() && !aside { 0.0 } else { CHIP + 4.0 };
        Size { width: tile, height: STACK + 12.0 + name_lines * 16.0 + 16.0 + foot + 6.0 }
    }

    fn strip(&self, text: &mut String, strip: &Strip<'_>, size: Size, sheet: Sheet, place: Option<&Place<'_>>) {
        let (title, desc) = match place {
            Some(Place { at: 0, said, .. }) => ("Block diagram".to_owned(), (*said).to_owned()),
            Some(Place { at, of, .. }) => (format!("Block diagram, part {} of {of}", at + 1), String::new()),
            None => {
                let names: Vec<&str> = strip.tiles.iter().map(|placed| placed.tile.component.name.as_str()).collect();
                ("What it can do without".to_owned(), names.join(", "))
            }
        };
        // A pixel around it, for the frames of tiles at its edge.
        write(
            text,
            format_args!(
                "<svg class=\"plot {sheet}\" viewBox=\"-1 -1 {:.0} {:.0}\" role=\"img\"><title>{title}</title>",
                strip.width + 2.0,
                strip.height + 2.0
            ),
        );
        if !desc.is_empty() {
            write(text, format_args!("<desc>{}</desc>", Markup(desc)));
        }
        if !strip.wires.is_empty() {
            let wires: String = strip.wires.iter().map(|wire| path(wire)).collect();
            write(text, format_args!("<path class=\"wire\" d=\"{wires}\"/>"));
        }
        if let Some(Place { at, of, .. }) = place {
            ends(text, strip, *at == 0, at + 1 == *of);
        }
        for sign in &strip.signs {
            self::sign(text, sign);
        }
        for placed in &strip.tiles {
            self.tile(text, placed, size, place.is_none());
        }
        text.push_str("</svg>");
    }

    fn tile(&self, text: &mut String, placed: &Placed<'_>, size: Size, aside: bool) {
        let Tile { component, again } = placed.tile;
        let single = !again && !aside && self.single.contains(component.name.as_str());
        let class = match (again, aside, single) {
            (true, ..) => "tile again",
            (_, true, _) => "tile aside",
            (.., true) => "tile single",
            _ => "tile",
        };
        let whole = self.whole(component, again, single);
        write(text, format_args!("<g class=\"{class}\"><title>{}</title>", Markup(whole)));
        let (left, top, card) = cards(text, placed, size);
        let share = self.share.get(component.name.as_str()).copied().unwrap_or_default().min(1.0);
        if !again && !aside && share >= LEAST_SHARE {
            let bar = Size { width: (card.width - 8.0) * share, height: 3.0 };
            rect(text, "share", (left + 4.0, top + card.height - 5.0), bar);
        }
        if single {
            let (x, y) = (left + card.width - 7.0, top + 17.0);
            write(text, format_args!("<text class=\"warn\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">▲</text>"));
        }
        let room = size.width - STACK - 2.0 * INSET;
        let (x, mut y) = (left + INSET, top + 18.0);
        for line in lines(&component.name, NAME * BOLD, room - if single { 12.0 } else { 0.0 }, 2) {
            write(text, format_args!("<text class=\"name\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", Markup(line)));
            y += 16.0;
        }
        let facts = match again {
            true => "as drawn before".to_owned(),
            // A short word is better than the beginning of a long one.
            false => Some(facts(component, "external"))
                .filter(|facts| width(facts, SMALL) <= room)
                .unwrap_or_else(|| facts(component, "ext.")),
        };
        let unknown = component.figures.is_none() && !again;
        fact(text, (x, y), &fit(&facts, SMALL, room), unknown);
        let foot = top + card.height - CHIP - 8.0;
        match self.aside.get(component.name.as_str()).filter(|_| aside) {
            Some(why) => fact(text, (x, foot + CHIP - 4.0), &fit(why, SMALL, room), false),
            None if !again => self.chips(text, component, (x, foot), room),
            None => {}
        }
        text.push_str("</g>");
    }

    /// The places in which the units lie, as many as there is room for.
    fn chips(&self, text: &mut String, component: &Component, (mut x, y): (f64, f64), room: f64) {
        let end = x + room;
        let mut left = component.places.len();
        for place in &component.places {
            let Some(colour) = self.places.iter().position(|known| known == place) else { continue };
            // Room for "+12" behind it, unless it is the last.
            let spare = if left > 1 { 24.0 } else { 0.0 };
            let name = fit(place, SMALL, (end - x - spare - 2.0 * CHIP_INSET).max(0.0));
            let wide = width(&name, SMALL) + 2.0 * CHIP_INSET;
            if x + wide + spare > end + 1.0 || (name.chars().count() < 4 && name != *place) {
                write(text, format_args!("<text class=\"fact\" x=\"{x:.1}\" y=\"{:.1}\">+{left}</text>", y + 11.5));
                return;
            }
            write(
                text,
                format_args!(
                    "<g class=\"place c{}\"><rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{CHIP}\" rx=\"3\"/><text x=\"{:.1}\" y=\"{:.1}\">{}</text></g>",
                    colour % COLOURS,
                    x + CHIP_INSET,
                    y + 11.5,
                    Markup(name)
                ),
            );
            x += wide + 4.0;
            left -= 1;
        }
    }

    /// All that a tile stands for, in words.
    fn whole(&self, component: &Component, again: bool, single: bool) -> String {
        let mut parts = vec![component.name.clone()];
        parts.extend(component.about.clone());
        if again {
            parts.push("drawn before, with what it needs".to_owned());
            return parts.join(". ");
        }
        parts.push(facts(component, "external"));
        if !component.places.is_empty() {
            parts.push(format!("in {}", component.places.join(", ")));
        }
        if single {
            parts.push("single point of failure".to_owned());
        }
        if let Some(share) = self.share.get(component.name.as_str()).filter(|share| **share > 0.0) {
            parts.push(format!("{} of the downtime", part(share.min(1.0))));
        }
        parts.join(". ")
    }

    /// What the signs mean, of those that are there.
    fn legend(&self, workload: &Workload) -> String {
        let any = |is: fn(&Component) -> bool| workload.components.iter().any(is);
        let signs = [
            (!self.single.is_empty(), "single", "▲ takes all down by itself"),
            (any(|component| component.count > 1), "stack", "several units, so many of which must work"),
            (
                self.share.values().any(|share| *share >= LEAST_SHARE),
                "share",
                "share of the downtime that would go if it never failed",
            ),
            (!self.places.is_empty(), "place", "zone or region: what lies in it fails with it"),
        ];
        let items = signs.into_iter().filter(|(there, ..)| *there);
        let items: String = items
            .map(|(_, class, words)| {
                format!("<li><span class=\"swatch {class}\" aria-hidden=\"true\"></span>{words}</li>")
            })
            .collect();
        if items.is_empty() { items } else { format!("<ul class=\"legend\">{items}</ul>\n") }
    }
}

/// The frame of a tile, one card before another where there are several units: the wires meet the outer edges of both. The corner
/// of the card in front, and its size.
fn cards(text: &mut String, placed: &Placed<'_>, size: Size) -> (f64, f64, Size) {
    let Placed { tile, x, y } = *placed;
    let height = size.height - STACK;
    if tile.component.count > 1 && !tile.again {
        let card = Size { width: size.width - STACK, height };
        rect(text, "card", (x + STACK, y), card);
        rect(text, "card", (x, y + STACK), card);
        (x, y + STACK, card)
    } else {
        let card = Size { width: size.width, height };
        rect(text, "card", (x, y + STACK / 2.0), card);
        (x, y + STACK / 2.0, card)
    }
}

fn fact(text: &mut String, (x, y): (f64, f64), words: &str, unknown: bool) {
    let class = if unknown { "fact unknown" } else { "fact" };
    write(text, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", Markup(words)));
}

/// Why a component makes no difference.
fn why(workload: &Workload, component: &Component) -> String {
    let name = &component.name;
    let naming = |is: &dyn Fn(&Component) -> bool| {
        let names = workload.components.iter().filter(|other| is(other)).map(|other| other.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let users = naming(&|other| other.uses.contains(name));
    let callers =
        naming(&|other| other.needs.as_ref().is_some_and(|need: &Need| need.components().any(|one| one == name)));
    match (users.is_empty(), callers.is_empty()) {
        (false, _) => format!("used by {users}"),
        (true, false) => format!("needed by {callers}"),
        (true, true) => "not used".to_owned(),
    }
}

/// A component in a line, with a word for those that others run.
fn facts(component: &Component, of_others: &str) -> String {
    let Component { figures, count, enough, external, .. } = component;
    let mut facts = vec![figures.map_or_else(|| "not known".to_owned(), |figures| percent(figures.availability.up()))];
    if *count > 1 {
        facts.insert(0, format!("{enough} of {count}"));
    }
    if *external {
        facts.push(of_others.to_owned());
    }
    facts.join(" · ")
}

/// Where a strip begins and ends: the whole diagram at a dot, what goes on at an arrow.
fn ends(text: &mut String, strip: &Strip<'_>, first: bool, last: bool) {
    let right = strip.wires.iter().flatten().map(|corner| corner.0).fold(0.0, f64::max);
    let left = strip.wires.iter().flatten().map(|corner| corner.0).fold(f64::INFINITY, f64::min);
    for (x, is_end) in [(left, first), (right, last)] {
        let y = strip.middle;
        if is_end {
            write(text, format_args!("<circle class=\"end\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"));
        } else {
            let (back, tip) = (x - 4.0, x + 5.0);
            write(
                text,
                format_args!(
                    "<path class=\"end\" d=\"M{back:.1} {:.1}L{tip:.1} {y:.1}L{back:.1} {:.1}Z\"/>",
                    y - 5.0,
                    y + 5.0
                ),
            );
        }
    }
}

fn sign(text: &mut String, sign: &Sign) {
    let Sign { enough, of, x, y } = sign;
    write(text, format_args!("<g class=\"sign\"><title>{enough} of these {of} must work</title>"));
    rect(text, "card", (*x, y - SIGN.height / 2.0), SIGN);
    let words = fit(&format!("{enough} of {of}"), SMALL * BOLD, SIGN.width - 4.0);
    write(
        text,
        format_args!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{words}</text></g>",
            x + SIGN.width / 2.0,
            y + 4.0
        ),
    );
}

fn rect(text: &mut String, class: &str, (x, y): (f64, f64), size: Size) {
    write(
        text,
        format_args!(
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"{:.1}\"/>",
            size.width,
            size.height,
            // Round corners, but never a ball.
            (size.height / 2.0).min(size.width / 2.0).min(5.0)
        ),
    );
}

fn path(corners: &[(f64, f64)]) -> String {
    let steps =
        corners.iter().enumerate().map(|(at, (x, y))| format!("{}{x:.1} {y:.1}", if at == 0 { 'M' } else { 'L' }));
    steps.collect()
}

#[cfg(test)]
mod tests {
    use assess::availability::{Limits, assess};
    use model::workload::{Availability, Figures, Place};
    use proptest::prelude::*;

    use super::{
        super::blocks::tests::{any_workload, workload},
        *,
    };
    use crate::paper::well_formed::flaw;

    fn drawn(workload: &Workload) -> String {
        drawing(workload, &assess(workload, &Limits::default()).unwrap()).unwrap()
    }

    #[test]
    fn a_tile_says_what_there_is_to_know_and_names_cannot_leave_it() {
        let evil = "<b onload='x'>\"&";
        let web = Component {
            figures: Some(Figures::of("99%".parse::<Availability>().unwrap())),
            count: 4,
            enough: 2,
            places: vec!["a".into(), "b".into()],
            uses: vec!["mail".into()],
            ..Component::named(evil)
        };
        let mut shop = workload(vec![web, Component::named("mail")], Need::Component(evil.to_owned()));
        shop.places = ["a", "b"].map(|name| Place { name: name.into(), region: None, figures: None }).into();
        let svg = drawn(&shop);
        assert_eq!(flaw(&svg), None, "{svg}");
        for part in
            ["2 of 4 · 99 %", "<text class=\"fact unknown\"", "not known", "used by &lt;b", "in a, b", "role=\"img\""]
        {
            assert!(svg.contains(part), "no {part} in {svg}");
        }
    }

    #[test]
    fn a_single_point_of_failure_has_a_sign_and_not_only_a_colour() {
        let one = |name: &str| Component {
            figures: Some(Figures::of(Availability::from_down(0.01))),
            ..Component::named(name)
        };
        let names = ["a", "b", "c"].map(|name| Need::Component(name.to_owned()));
        let [a, b, c] = names;
        let shop = workload(["a", "b", "c"].map(one).into(), Need::All(vec![a, Need::Any(vec![b, c])]));
        let svg = drawn(&shop);
        let sheets = SHEETS.len();
        assert_eq!((svg.matches("tile single").count(), svg.matches(">▲</text>").count()), (sheets, sheets));
        assert!(svg.contains("<desc>shop works when these work: a, 1 of [b; c].</desc>"), "{svg}");
    }

    #[test]
    fn what_nobody_could_read_is_not_drawn() {
        let names: Vec<String> = (0..=MOST).map(|at| format!("part {at}")).collect();
        let parts = names.iter().map(Component::named).collect();
        let all = workload(parts, Need::Component("part 0".to_owned()));
        assert_eq!(drawing(&all, &assess(&all, &Limits::default()).unwrap()), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn every_drawing_is_well_formed_and_cuts_its_text_to_its_tiles(
            mut workload in any_workload(8),
            name in any::<String>(),
            places in prop::collection::vec("\\PC{1,40}", 0..4),
        ) {
            workload.components[0].about = Some(name);
            workload.places =
                places.iter().map(|name| Place { name: name.clone(), region: None, figures: None }).collect();
            workload.components[0].places = places;
            let svg = drawn(&workload);
            prop_assert_eq!(flaw(&svg), None);
        }
    }
}
