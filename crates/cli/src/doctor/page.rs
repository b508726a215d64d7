//! The doctor's findings as a page for a terminal: what works is listed, what does not is explained.

use std::fmt::{self, Display, Formatter};

use engine::report::columns::{Paint, wrap};
use faults::doctor::{Ability, Fact};

use crate::terminal::Style;

/// What was found, for people.
pub(super) struct Page<'a> {
    pub(super) facts: &'a [Fact],
    pub(super) faults: &'a [Ability],
    pub(super) lab: &'a str,
    pub(super) style: Style,
}

/// What may be behind a mark and a name: less, and the name has a line to itself.
const NARROWEST: usize = 36;

impl Display for Page<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.head(f, "This machine and user")?;
        let names = self.facts.iter().map(|fact| fact.name.len()).max().unwrap_or_default();
        for Fact { name, available, detail, remedy } in self.facts {
            let mark = if *available { ("yes", Paint::Good) } else { ("no", Paint::Bad) };
            self.row(f, mark, name, names, detail)?;
            if let (false, Some(remedy)) = (available, remedy) {
                self.hanging(f, names, remedy)?;
            }
        }
        let of = |kind: fn(&Ability) -> bool| self.faults.iter().filter(|one| kind(one)).collect::<Vec<_>>();
        let works = of(|one| one.missing.is_empty() && one.less.is_empty());
        let less = of(|one| one.missing.is_empty() && !one.less.is_empty());
        let not = of(|one| !one.missing.is_empty());
        if !works.is_empty() {
            self.head(f, "\nFaults that work (`shaketable actions NAME` says what each does)")?;
            let ids: Vec<&str> = works.iter().map(|one| one.fault.id).collect();
            self.paragraph(f, "  ", &ids.join(", "))?;
        }
        self.explained(f, "\nFaults that work with less", Paint::Warn, &less, |one| &one.less)?;
        self.explained(f, "\nFaults that cannot be injected here", Paint::Bad, &not, |one| &one.missing)?;
        self.head(f, "\nLabs")?;
        self.paragraph(f, "  ", self.lab)
    }
}

impl Page<'_> {
    fn head(&self, f: &mut Formatter<'_>, text: &str) -> fmt::Result {
        let (blank, text) = text.strip_prefix('\n').map_or(("", text), |text| ("\n", text));
        f.write_str(blank)?;
        for line in wrap(text, self.style.width) {
            writeln!(f, "{}", Paint::Head.on(&line, self.style.colour))?;
        }
        Ok(())
    }

    /// Faults, those of which the same is to be said together, and what.
    fn explained(
        &self,
        f: &mut Formatter<'_>,
        head: &str,
        paint: Paint,
        faults: &[&Ability],
        said: impl Fn(&Ability) -> &[String],
    ) -> fmt::Result {
        let mut groups: Vec<(&[String], Vec<&str>)> = Vec::new();
        for one in faults {
            match groups.iter_mut().find(|(same, _)| *same == said(one)) {
                Some((_, ids)) => ids.push(one.fault.id),
                None => groups.push((said(one), vec![one.fault.id])),
            }
        }
        if !groups.is_empty() {
            self.head(f, head)?;
        }
        for (texts, ids) in groups {
            for line in wrap(&ids.join(", "), self.style.width.saturating_sub(2)) {
                writeln!(f, "  {}", paint.on(&line, self.style.colour))?;
            }
            for text in texts {
                self.paragraph(f, "      ", text)?;
            }
        }
        Ok(())
    }

    /// `  yes   name   what is to be said of it`, with what does not fit below its beginning.
    fn row(&self, f: &mut Formatter<'_>, mark: (&str, Paint), name: &str, names: usize, text: &str) -> fmt::Result {
        let mark = mark.1.on(&format!("{:<4}", mark.0), self.style.colour);
        let indent = self.indent(names);
        if indent < 8 + names {
            writeln!(f, "  {mark}  {name}")?;
            return self.paragraph(f, &" ".repeat(indent), text);
        }
        let mut lines = wrap(text, self.style.width.saturating_sub(indent)).into_iter();
        writeln!(f, "  {mark}  {name:<names$}  {}", lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| writeln!(f, "{:indent$}{line}", ""))
    }

    fn hanging(&self, f: &mut Formatter<'_>, names: usize, text: &str) -> fmt::Result {
        self.paragraph(f, &" ".repeat(self.indent(names)), text)
    }

    /// Where texts begin that are said of names of at most so many columns.
    const fn indent(&self, names: usize) -> usize {
        let beside = 2 + 4 + 2 + names + 2;
        if beside + NARROWEST <= self.style.width { beside } else { 8 }
    }

    fn paragraph(&self, f: &mut Formatter<'_>, indent: &str, text: &str) -> fmt::Result {
        let room = self.style.width.saturating_sub(indent.len());
        wrap(text, room).into_iter().try_for_each(|line| writeln!(f, "{indent}{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(width: usize) -> String {
        let fact = |name: &str, available, detail: &str| Fact {
            name: name.to_owned(),
            available,
            detail: detail.to_owned(),
            remedy: (!available).then(|| "load the modules: `modprobe -a nfnetlink_queue nft_queue`".to_owned()),
        };
        let facts = [
            fact("network-namespace", true, "network namespaces can be made"),
            fact("nfqueue", false, "No such file or directory (os error 2)"),
        ];
        let of = |id: &str| faults::catalogue().iter().find(|entry| entry.id == id).copied().unwrap();
        let ability = |id: &str, missing: &[&str], less: &[&str]| Ability {
            fault: of(id),
            missing: missing.iter().map(|&text| text.to_owned()).collect(),
            less: less.iter().map(|&text| text.to_owned()).collect(),
        };
        let queue = "nfqueue: No such file or directory (os error 2); load the modules: `modprobe -a nfnetlink_queue nft_queue`";
        let faults = [
            ability("cpu:stress", &[], &[]),
            ability("disk:fill", &[], &[]),
            ability("network:latency", &[], &["by netem alone, for all packets of a link"]),
            ability("dns:fail", &[queue], &[]),
            ability("dns:lie", &[queue], &[]),
        ];
        let style = Style { colour: false, live: false, width };
        Page { facts: &facts, faults: &faults, lab: "a network namespace per instance", style }.to_string()
    }

    #[test]
    fn no_line_is_longer_than_the_terminal_is_wide() {
        for width in [40, 60, 80, 120] {
            for line in page(width).lines() {
                assert!(line.len() <= width, "{width}: {line}");
            }
        }
    }

    #[test]
    fn what_works_is_listed_and_what_does_not_is_explained_once() {
        let expected = "\
This machine and user
  yes   network-namespace  network namespaces can be made
  no    nfqueue            No such file or directory (os error 2)
                           load the modules: `modprobe -a nfnetlink_queue
                           nft_queue`

Faults that work (`shaketable actions NAME` says what each does)
  cpu:stress, disk:fill

Faults that work with less
  network:latency
      by netem alone, for all packets of a link

Faults that cannot be injected here
  dns:fail, dns:lie
      nfqueue: No such file or directory (os error 2); load the modules:
      `modprobe -a nfnetlink_queue nft_queue`

Labs
  a network namespace per instance
";
        assert_eq!(page(74), expected);
    }
}
