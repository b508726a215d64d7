//! As much of YAML as a review needs, and how it is written: below each other for people, on one line within brackets,
//! and as JSON where the file is JSON.

/// A value to be written.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Tree {
    /// A word that needs no quotes in YAML.
    Plain(String),
    /// Any text.
    Text(String),
    /// Values in order.
    List(Vec<Self>),
    /// Keys of the format, in its order.
    Map(Vec<(String, Self)>),
    /// The same; written as the value of its first key where it has no other.
    Short(Vec<(String, Self)>),
    /// Keys of the author.
    Dict(Vec<(String, Self)>),
}

/// A notation within brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// YAML's.
    Flow,
    /// Every key and every text has quotes.
    Json,
}

/// Blanks by which a nested value stands further to the right.
pub(super) const STEP: usize = 2;

impl Tree {
    pub(super) fn plain(word: &str) -> Self {
        Self::Plain(word.to_owned())
    }

    /// Keys and values, if it has them.
    pub(super) fn entries(&self) -> Option<&[(String, Self)]> {
        match self {
            Self::Map(entries) | Self::Short(entries) | Self::Dict(entries) => Some(entries),
            Self::Plain(_) | Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The value that is written on one line instead of a mapping.
    fn shortened(&self) -> Option<&Self> {
        match self {
            Self::Short(entries) => match entries.as_slice() {
                [(_, only)] => Some(only),
                _ => None,
            },
            _ => None,
        }
    }

    /// What is written behind the colon of a key or a dash, and the lines below, each with the line break before it.
    /// `indent` is the column in which nested keys and dashes stand.
    pub(super) fn after_key(&self, indent: usize) -> (String, String) {
        match self {
            Self::Text(text) if is_block(text) => {
                let line = |part: &str| match part {
                    "" => "\n".to_owned(),
                    part => format!("\n{:indent$}{part}", ""),
                };
                (" |-".to_owned(), text.split('\n').map(line).collect())
            }
            Self::Plain(_) | Self::Text(_) => (format!(" {}", self.inline(Notation::Flow)), String::new()),
            Self::List(items) if !items.is_empty() => {
                (String::new(), items.iter().map(|item| item.after_dash(indent)).collect())
            }
            Self::Map(entries) | Self::Short(entries) | Self::Dict(entries) if !entries.is_empty() => {
                if let Some(only) = self.shortened() {
                    return only.after_key(indent);
                }
                (String::new(), entries.iter().map(|(key, value)| value.entry(key, indent)).collect())
            }
            Self::List(_) => (" []".to_owned(), String::new()),
            Self::Map(_) | Self::Short(_) | Self::Dict(_) => (" {}".to_owned(), String::new()),
        }
    }

    /// It under a key, with the line break before it.
    pub(super) fn entry(&self, key: &str, indent: usize) -> String {
        let (head, body) = self.after_key(indent + STEP);
        format!("\n{:indent$}{}:{head}{body}", "", scalar(key))
    }

    /// It as an item of a list, with the line break before it.
    pub(super) fn after_dash(&self, indent: usize) -> String {
        let (head, body) = self.after_key(indent + STEP);
        // The first entry of a mapping stands on the line of the dash.
        let first = format!("\n{:width$}", "", width = indent + STEP);
        match body.strip_prefix(&first).filter(|_| head.is_empty()) {
            Some(rest) => format!("\n{:indent$}- {rest}", ""),
            None => format!("\n{:indent$}-{head}{body}", ""),
        }
    }

    /// It on one line.
    pub(super) fn inline(&self, notation: Notation) -> String {
        match self {
            Self::Plain(word) if notation == Notation::Json && !is_json(word) => quoted(word),
            Self::Plain(word) => word.clone(),
            Self::Text(text) => text_inline(text, notation),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| item.inline(notation)).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Map(entries) | Self::Short(entries) | Self::Dict(entries) => {
                if let Some(only) = self.shortened() {
                    return only.inline(notation);
                }
                let entries: Vec<String> =
                    entries.iter().map(|(key, value)| value.entry_inline(key, notation)).collect();
                if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
            }
        }
    }

    /// It under a key, on one line.
    pub(super) fn entry_inline(&self, key: &str, notation: Notation) -> String {
        format!("{}: {}", text_inline(key, notation), self.inline(notation))
    }
}

/// A mapping of the format under construction.
#[derive(Default)]
pub(super) struct Map(Vec<(String, Tree)>);

impl Map {
    pub(super) fn put(&mut self, key: &str, value: Tree) {
        self.0.push((key.to_owned(), value));
    }

    /// Unless there is nothing in it.
    pub(super) fn filled(&mut self, key: &str, value: Tree) {
        let empty = match &value {
            Tree::List(items) => items.is_empty(),
            Tree::Map(entries) | Tree::Short(entries) | Tree::Dict(entries) => entries.is_empty(),
            Tree::Plain(_) | Tree::Text(_) => false,
        };
        if !empty {
            self.put(key, value);
        }
    }

    pub(super) fn text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.put(key, Tree::Text(text.to_owned()));
        }
    }

    pub(super) fn plain(&mut self, key: &str, word: Option<impl ToString>) {
        if let Some(word) = word {
            self.put(key, Tree::Plain(word.to_string()));
        }
    }

    pub(super) fn done(self) -> Tree {
        Tree::Map(self.0)
    }

    pub(super) fn short(self) -> Tree {
        Tree::Short(self.0)
    }
}

/// Several lines that a literal block scalar gives back exactly.
fn is_block(text: &str) -> bool {
    let harmless = |part: &str| {
        !part.starts_with([' ', '\t'])
            && !part.ends_with([' ', '\t'])
            && !part.chars().any(|c| c.is_control() || c == '\u{feff}')
    };
    text.contains('\n')
        && !text.starts_with('\n')
        && !text.ends_with('\n')
        && text.split('\n').all(harmless)
        && !text.contains(['\u{85}', '\u{2028}', '\u{2029}'])
}

/// Whether JSON has the word too: numbers, and `true`.
fn is_json(word: &str) -> bool {
    word == "true" || word.parse::<u32>().is_ok()
}

/// A text within brackets, where commas and brackets end one that has no quotes.
fn text_inline(text: &str, notation: Notation) -> String {
    let ends_text = |c: char| ",[]{}:".contains(c);
    if notation == Notation::Json || text.contains(ends_text) { quoted(text) } else { scalar(text) }
}

/// A text on one line, in double quotes unless it cannot be taken for anything else.
pub(super) fn scalar(text: &str) -> String {
    let begins = text.starts_with(|c: char| c.is_alphanumeric());
    let ends = !text.ends_with([' ', ':']);
    let inside = text.chars().all(|c| c.is_alphanumeric() || " _-./()+%'@;=,:".contains(c)) && !text.contains(": ");
    let word = matches!(text.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off");
    if begins && ends && inside && !word { text.to_owned() } else { quoted(text) }
}

/// JSON's notation of a text is one of YAML's; what YAML would break lines at is escaped.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::String(text.to_owned()).to_string();
    let escape = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{7f}');
    json.chars().map(|c| if escape(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}
