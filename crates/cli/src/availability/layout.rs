//! Where the parts of a block diagram lie on paper.
//!
//! ```text
//!        ┌─[b]─┐               a line runs from left to right and goes on below when it is full:
//!  ─[a]──┤     ├ 1 of 2 ─▸      at the outside on a strip of its own, so that pages break between strips,
//!        └─[c]─┘               and within a choice on the next row of the same strip
//! ```
//!
//! All lengths are CSS pixels at the size at which the page shows the drawing.

use super::blocks::{Block, Tile};

/// The size of a tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Between two tiles of a row; room enough for an arrow.
const GAP: f64 = 26.0;
/// Between the branches of a choice.
const BELOW: f64 = 14.0;
/// Between the rows of a line: the wire that carries on runs in the middle.
const ROW: f64 = 26.0;
/// Left of a row that carries on another one, and right of one that is carried on.
const TURN: f64 = 14.0;
/// Left of the branches of a choice.
const FORK: f64 = 20.0;
/// Right of them.
const JOIN: f64 = 18.0;
/// The sign behind them, which says how many of them it takes.
pub(super) const SIGN: Size = Size { width: 54.0, height: 22.0 };
/// Left and right of a strip, for its beginning and its end.
const END: f64 = 22.0;

/// A tile, by its top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Placed<'w> {
    pub(super) tile: Tile<'w>,
    pub(super) x: f64,
    pub(super) y: f64,
}

/// How many branches it takes, by the middle of the sign's left side.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sign {
    pub(super) enough: usize,
    pub(super) of: usize,
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A part of a drawing that stands on a paper of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Strip<'w> {
    pub(super) width: f64,
    pub(super) height: f64,
    /// Where the wire comes in and goes out.
    pub(super) middle: f64,
    pub(super) tiles: Vec<Placed<'w>>,
    /// Each from corner to corner; all pieces are level or upright.
    pub(super) wires: Vec<Vec<(f64, f64)>>,
    pub(super) signs: Vec<Sign>,
}

/// The strips of a line on paper of this width, as far as tiles and choices allow: what is broader than the paper lies on a strip
/// that is.
pub(super) fn strips<'w>(line: &[Block<'w>], tile: Size, width: f64) -> Vec<Strip<'w>> {
    rows(line, tile, width - 2.0 * END)
        .into_iter()
        .map(|row| {
            let whole = row.width + 2.0 * END;
            let mut strip =
                Strip { width: whole.max(width), height: row.height, middle: row.enter, ..Strip::default() };
            let end = END + row.width;
            strip.wires = vec![
                vec![(END / 2.0, row.enter), (END, row.enter)],
                vec![(end, row.leave), (end + END / 2.0, row.leave)],
            ];
            row.draw(END, 0.0, &mut strip);
            strip
        })
        .collect()
}

/// Tiles beside and below each other, without wires; a strip for each row.
pub(super) fn shelves<'w>(tiles: &[Tile<'w>], size: Size, width: f64) -> Vec<Strip<'w>> {
    let mut strips: Vec<Strip<'w>> = Vec::new();
    let mut x = f64::INFINITY;
    for tile in tiles {
        if x + size.width > width - END {
            strips.push(Strip { width, height: size.height, middle: size.height / 2.0, ..Strip::default() });
            x = END;
        }
        if let Some(strip) = strips.last_mut() {
            strip.tiles.push(Placed { tile: *tile, x, y: 0.0 });
        }
        x += size.width + GAP;
    }
    strips
}

/// Something with a size, where wires come in on its left and go out on its right, and what is drawn of it from its corner on.
#[derive(Debug, Default)]
struct Part<'w> {
    width: f64,
    height: f64,
    /// Above these no wire comes in or goes out.
    enter: f64,
    leave: f64,
    tiles: Vec<Placed<'w>>,
    wires: Vec<Vec<(f64, f64)>>,
    signs: Vec<Sign>,
}

impl<'w> Part<'w> {
    fn draw(self, x: f64, y: f64, into: &mut Strip<'w>) {
        let Self { tiles, wires, signs, .. } = self.moved(x, y);
        into.tiles.extend(tiles);
        into.wires.extend(wires);
        into.signs.extend(signs);
    }

    fn moved(mut self, x: f64, y: f64) -> Self {
        self.tiles.iter_mut().for_each(|tile| (tile.x, tile.y) = (tile.x + x, tile.y + y));
        self.signs.iter_mut().for_each(|sign| (sign.x, sign.y) = (sign.x + x, sign.y + y));
        self.wires.iter_mut().flatten().for_each(|corner| *corner = (corner.0 + x, corner.1 + y));
        self
    }

    /// Takes in what another part draws from this corner on.
    fn take(&mut self, other: Self, x: f64, y: f64) {
        let Self { tiles, wires, signs, .. } = other.moved(x, y);
        self.tiles.extend(tiles);
        self.wires.extend(wires);
        self.signs.extend(signs);
    }
}

fn part<'w>(block: &Block<'w>, tile: Size, room: f64) -> Part<'w> {
    match block {
        Block::Tile(one) => Part {
            width: tile.width,
            height: tile.height,
            enter: tile.height / 2.0,
            leave: tile.height / 2.0,
            tiles: vec![Placed { tile: *one, x: 0.0, y: 0.0 }],
            ..Part::default()
        },
        Block::Line(blocks) => stacked(rows(blocks, tile, room - 2.0 * TURN)),
        Block::Choice(enough, branches) => choice(*enough, branches, tile, room),
    }
}

/// A line in rows that are no broader than `room` where that is possible.
fn rows<'w>(line: &[Block<'w>], tile: Size, room: f64) -> Vec<Part<'w>> {
    let mut rows: Vec<Vec<Part<'w>>> = Vec::new();
    let mut used = f64::INFINITY;
    for block in line {
        let part = part(block, tile, room);
        if used + GAP + part.width > room {
            rows.push(Vec::new());
            used = -GAP;
        }
        used += GAP + part.width;
        rows.last_mut().expect("the first part begins a row").push(part);
    }
    rows.into_iter().map(row).collect()
}

/// Parts beside each other, on one level. All but rows that go on below have one: so none of these parts is in several rows.
fn row(parts: Vec<Part<'_>>) -> Part<'_> {
    let above = parts.iter().map(|part| part.enter).fold(0.0, f64::max);
    let below = parts.iter().map(|part| part.height - part.enter).fold(0.0, f64::max);
    let mut row = Part { height: above + below, enter: above, leave: above, ..Part::default() };
    let mut x = 0.0;
    for (at, part) in parts.into_iter().enumerate() {
        if at > 0 {
            row.wires.push(vec![(x, above), (x + GAP, above)]);
            x += GAP;
        }
        let (width, y) = (part.width, above - part.enter);
        row.take(part, x, y);
        x += width;
    }
    row.width = x;
    row
}

/// Rows below each other, each carried on by the next.
fn stacked(mut rows: Vec<Part<'_>>) -> Part<'_> {
    if rows.len() < 2 {
        return rows.pop().unwrap_or_default();
    }
    let inner = rows.iter().map(|row| row.width).fold(0.0, f64::max);
    let mut all = Part { width: inner + 2.0 * TURN, ..Part::default() };
    let last = rows.len() - 1;
    let mut y = 0.0;
    for (at, row) in rows.into_iter().enumerate() {
        let (level, end) = (y + row.enter, TURN + row.width);
        let bottom = y + row.height;
        if at == 0 {
            all.enter = level;
        }
        if at == last {
            all.leave = level;
        }
        // From the left side of the whole, or from where the row before has brought the wire; to the right side, or down.
        all.wires.push(if at == 0 {
            vec![(0.0, level), (TURN, level)]
        } else {
            vec![(TURN / 2.0, y - ROW / 2.0), (TURN / 2.0, level), (TURN, level)]
        });
        all.wires.push(if at == last {
            vec![(end, level), (all.width, level)]
        } else {
            let (side, turn) = (end + TURN / 2.0, bottom + ROW / 2.0);
            vec![(end, level), (side, level), (side, turn), (TURN / 2.0, turn)]
        });
        all.take(row, TURN, y);
        y = bottom + ROW;
    }
    all.height = y - ROW;
    all
}

/// Branches below each other between a fork and a join.
fn choice<'w>(enough: usize, branches: &[Block<'w>], tile: Size, room: f64) -> Part<'w> {
    let sides = FORK + JOIN + SIGN.width;
    let parts: Vec<Part<'w>> =
        branches.iter().map(|branch| part(branch, tile, (room - sides).max(tile.width))).collect();
    let inner = parts.iter().map(|part| part.width).fold(0.0, f64::max);
    let of = parts.len();
    let mut all = Part { width: inner + sides, ..Part::default() };
    let (fork, join) = (FORK / 2.0, FORK + inner + JOIN / 2.0);
    let (mut y, mut enters, mut leaves) = (0.0, Vec::new(), Vec::new());
    for part in parts {
        let x = FORK + (inner - part.width) / 2.0;
        let (enter, leave) = (y + part.enter, y + part.leave);
        all.wires.push(vec![(fork, enter), (x, enter)]);
        all.wires.push(vec![(x + part.width, leave), (join, leave)]);
        enters.push(enter);
        leaves.push(leave);
        let height = part.height;
        all.take(part, x, y);
        y += height + BELOW;
    }
    all.height = (y - BELOW).max(SIGN.height);
    let middle = all.height / 2.0;
    (all.enter, all.leave) = (middle, middle);
    for (side, mut levels) in [(fork, enters), (join, leaves)] {
        levels.push(middle);
        let ends = levels.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), at| (low.min(*at), high.max(*at)));
        all.wires.push(vec![(side, ends.0), (side, ends.1)]);
    }
    all.wires.push(vec![(0.0, middle), (fork, middle)]);
    let sign = Sign { enough, of, x: all.width - SIGN.width, y: middle };
    all.wires.push(vec![(join, middle), (sign.x, middle)]);
    all.signs.push(sign);
    all
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use model::workload::{Component, Need};
    use proptest::prelude::*;

    use super::{
        super::blocks::{
            diagram,
            tests::{any_workload, workload},
        },
        *,
    };

    const TILE: Size = Size { width: 170.0, height: 60.0 };

    /// What takes room: left, top, right, bottom.
    fn taken(strip: &Strip<'_>) -> Vec<(f64, f64, f64, f64)> {
        let tiles = strip.tiles.iter().map(|at| (at.x, at.y, at.x + TILE.width, at.y + TILE.height));
        let signs =
            strip.signs.iter().map(|at| (at.x, at.y - SIGN.height / 2.0, at.x + SIGN.width, at.y + SIGN.height / 2.0));
        tiles.chain(signs).collect()
    }

    fn wires<'s>(strip: &'s Strip<'_>) -> impl Iterator<Item = ((f64, f64), (f64, f64))> + 's {
        strip.wires.iter().flat_map(|wire| wire.windows(2).map(|ends| (ends[0], ends[1])))
    }

    #[test]
    fn forty_in_a_row_lie_on_strips_as_wide_as_the_paper() {
        let names: Vec<String> = (0..40).map(|at| format!("part {at}")).collect();
        let parts = names.iter().map(Component::named).collect();
        let all = workload(parts, Need::All(names.iter().cloned().map(Need::Component).collect()));
        let strips = strips(&diagram(&all).line, TILE, 960.0);
        assert_eq!(strips.iter().map(|strip| strip.tiles.len()).collect::<Vec<_>>(), [4; 10]);
        assert!(strips.iter().all(|strip| strip.width <= 960.0 && strip.height <= TILE.height));
    }

    proptest! {
        #[test]
        fn nothing_lies_upon_anything_else(workload in any_workload(24), width in 250.0..1200.0_f64) {
            let diagram = diagram(&workload);
            let strips = strips(&diagram.line, TILE, width);
            for strip in &strips {
                let taken = taken(strip);
                for (at, (left, top, right, bottom)) in taken.iter().enumerate() {
                    prop_assert!(*left >= 0.0 && *top >= -1e-9 && *right <= strip.width + 1e-9);
                    prop_assert!(*bottom <= strip.height + 1e-9);
                    for (x, y, end, low) in &taken[at + 1..] {
                        let apart = *x >= right - 1e-9 || *end <= left + 1e-9 || *y >= bottom - 1e-9 || *low <= top + 1e-9;
                        prop_assert!(apart, "{:?}", strip.tiles);
                    }
                }
                for ((x, y), (to, low)) in wires(strip) {
                    prop_assert!((x - to).abs() < 1e-9 || (y - low).abs() < 1e-9, "a wire is aslant");
                    let (x, to, y, low) = (x.min(to), x.max(to), y.min(low), y.max(low));
                    prop_assert!(x >= 0.0 && to <= strip.width && y >= -1e-9 && low <= strip.height + 1e-9);
                    for (left, top, right, bottom) in &taken {
                        let through = x < right - 1e-6 && to > left + 1e-6 && y < bottom - 1e-6 && low > top + 1e-6;
                        prop_assert!(!through, "a wire runs through a tile");
                    }
                }
            }
        }

        #[test]
        fn every_component_is_drawn_once_or_stands_aside(workload in any_workload(24)) {
            let diagram = diagram(&workload);
            let strips = strips(&diagram.line, TILE, 960.0);
            let tiles = strips.iter().flat_map(|strip| &strip.tiles);
            let first: Vec<_> = tiles.filter(|placed| !placed.tile.again).map(|placed| placed.tile.component).collect();
            let names: HashSet<_> = first.iter().chain(&diagram.aside).map(|component| &component.name).collect();
            prop_assert_eq!(names.len(), workload.components.len());
            prop_assert_eq!(first.len() + diagram.aside.len(), workload.components.len());
        }
    }
}
