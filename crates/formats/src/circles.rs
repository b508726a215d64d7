//! What leads back to itself.

use std::{collections::HashMap, vec::IntoIter};

#[derive(Clone, Copy, PartialEq)]
enum Mark {
    OnPath,
    Done,
}

/// Circles among things that lead to others, each as `a, b, ..., a`: at most one for every thing that closes one. They are looked
/// for from each thing in turn, and what a name leads to is asked once.
pub(crate) fn circles<'n, N>(
    things: impl IntoIterator<Item = &'n str>,
    next: impl Fn(&'n str) -> N,
) -> Vec<Vec<&'n str>>
where
    N: IntoIterator<Item = &'n str>,
{
    let mut marks: HashMap<&str, Mark> = HashMap::new();
    let mut found = Vec::new();
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
                    found.push(on_circle.chain([other]).collect());
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
    fn a_chain_of_a_hundred_thousand_is_walked_once() {
        let names: Vec<String> = (0..100_000).map(|number| number.to_string()).collect();
        let next = |name: &str| names.get(name.parse::<usize>().unwrap() + 1).map(String::as_str);
        assert!(circles(names.iter().map(String::as_str), next).is_empty());
    }
}
