//! What leads back to itself.

use std::{collections::HashMap, vec::IntoIter};

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    OnPath,
    Done,
}

/// Most names in the circles that are told, the first of which is told whole. A chain of ten thousand of which each leads back to
/// the first has ten thousand circles, of fifty million names together.
const MOST_TOLD: usize = 1_000;

/// Circles among things that lead to others, each as `a, b, ..., a`: at most one for every thing that closes one, and no more
/// when there are [`MOST_TOLD`] names in them. They are looked for from each thing in turn, and what a name leads to is asked once.
pub(crate) fn circles<'n, N>(
    things: impl IntoIterator<Item = &'n str>,
    next: impl Fn(&'n str) -> N,
) -> Vec<Vec<&'n str>>
where
    N: IntoIterator<Item = &'n str>,
{
    let mut marks: HashMap<&str, Mark> = HashMap::new();
    let mut found: Vec<Vec<&str>> = Vec::new();
    let mut told = 0;
    let leads_to = |name| next(name).into_iter().collect::<Vec<_>>().into_iter();
    for start in things {
        if marks.contains_key(start) {
            continue;
        }
        // Depth first with a stack of our own: a chain of ten thousand must not end ours.
        let mut path: Vec<(&str, IntoIter<&str>)> = vec![(start, leads_to(start))];
        marks.insert(start, Mark::OnPath);
        while let Some((name, others)) = path.last_mut() {
            let Some(other) = others.next() else {
                marks.insert(name, Mark::Done);
                path.pop();
                continue;
            };
            match marks.get(other) {
                Some(Mark::Done) => {}
                Some(Mark::OnPath) => {
                    let on_circle = path.iter().map(|(name, _)| *name).skip_while(|name| *name != other);
                    let circle: Vec<&str> = on_circle.chain([other]).collect();
                    told += circle.len();
                    found.push(circle);
                    if told > MOST_TOLD {
                        return found;
                    }
                }
                None => {
                    marks.insert(other, Mark::OnPath);
                    path.push((other, leads_to(other)));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::circles;

    fn of(edges: &[(&'static str, &'static str)]) -> Vec<Vec<&'static str>> {
        circles(edges.iter().map(|(from, _)| *from), |name| {
            edges.iter().filter(|(from, _)| *from == name).map(|(_, to)| *to).collect::<Vec<_>>()
        })
    }

    #[test]
    fn a_circle_is_told_from_where_it_is_entered() {
        assert_eq!(of(&[("a", "b"), ("b", "c"), ("c", "b")]), [["b", "c", "b"]]);
        assert_eq!(of(&[("a", "a"), ("b", "a")]), [["a", "a"]]);
        assert_eq!(of(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")]), [[""; 0]; 0]);
    }

    #[test]
    fn of_a_chain_that_leads_back_from_everywhere_some_circles_are_told() {
        let names: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
        let next = |name: &str| {
            let after = names.get(name.parse::<usize>().unwrap() + 1).map(String::as_str);
            after.into_iter().chain(["0"]).collect::<Vec<_>>()
        };
        let found = circles(names.iter().map(String::as_str), next);
        // The last of the chain closes the first that is found, which is the longest.
        assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [100_001]);
        let short: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        let of_ten = |name: &str| {
            let number = name.parse::<usize>().unwrap();
            short.get(if number % 10 == 9 { number - 9 } else { number + 1 }).map(String::as_str)
        };
        assert_eq!(circles(short.iter().map(String::as_str), of_ten).len(), 10);
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_is_walked_once() {
        let names: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
        let next = |name: &str| names.get(name.parse::<usize>().unwrap() + 1).map(String::as_str);
        assert!(circles(names.iter().map(String::as_str), next).is_empty());
    }
}
