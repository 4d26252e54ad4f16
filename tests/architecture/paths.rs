//! Every path that a file names, in `use` trees and in line, resolved from the crate's root.

use super::lexer::Token;

/// A path such as `std::fs::File`; one into this crate begins with `crate`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) test: bool,
    /// Whether it stands in a `use` tree.
    pub(crate) import: bool,
    pub(crate) segments: Vec<String>,
}

impl Named {
    pub(crate) fn is(&self, path: &[&str]) -> bool {
        self.segments.iter().map(String::as_str).take(path.len()).eq(path.iter().copied())
    }
}

/// Collects the paths in the file at `path` (below `src`).
pub(crate) fn paths(path: &str, tokens: &[Token]) -> Vec<Named> {
    let mut walk = Walk {
        tokens,
        at: 0,
        module: module_of(path),
        inline: Vec::new(),
        depth: 0,
        found: Vec::new(),
    };
    while walk.at < tokens.len() {
        walk.step();
    }
    walk.found
}

/// Gives the module that a file holds: `sip/leg.rs` is `sip::leg`, `sip/mod.rs` is `sip`.
pub(crate) fn module_of(path: &str) -> Vec<String> {
    let stem = path.trim_end_matches(".rs");
    let names = stem.split('/').filter(|name| !matches!(*name, "mod" | "lib" | "main"));
    names.map(str::to_owned).collect()
}

struct Walk<'a> {
    tokens: &'a [Token],
    at: usize,
    /// The module at this place, inline ones included.
    module: Vec<String>,
    /// The brace depths at which inline modules were opened.
    inline: Vec<usize>,
    depth: usize,
    found: Vec<Named>,
}

impl Walk<'_> {
    fn step(&mut self) {
        match (self.text(0), self.text(2)) {
            ("use", _) if self.text(1) != "<" => {
                self.at += 1;
                self.tree(&[]);
            }
            ("mod", "{") => {
                self.depth += 1;
                self.inline.push(self.depth);
                self.module.push(self.text(1).to_owned());
                self.at += 3;
            }
            ("{", _) => {
                self.depth += 1;
                self.at += 1;
            }
            ("}", _) => self.close(),
            _ if self.token().is_some_and(Token::is_name) => self.inline_path(),
            _ => self.at += 1,
        }
    }

    fn close(&mut self) {
        if self.inline.last() == Some(&self.depth) {
            self.inline.pop();
            self.module.pop();
        }
        self.depth = self.depth.saturating_sub(1);
        self.at += 1;
    }

    fn inline_path(&mut self) {
        let first = self.at;
        let mut segments = vec![self.text(0).to_owned()];
        self.at += 1;
        while self.text(0) == "::" && self.tokens.get(self.at + 1).is_some_and(Token::is_name) {
            segments.push(self.text(1).to_owned());
            self.at += 2;
        }
        self.found(first, segments, false);
    }

    /// Takes one branch of a `use` tree, up to its `,` `}` or `;`.
    fn tree(&mut self, prefix: &[String]) {
        let (first, mut segments) = (self.at, prefix.to_vec());
        while let Some(token) = self.token() {
            match token.text.as_str() {
                "::" => self.at += 1,
                "{" => return self.group(&segments),
                "," | "}" | ";" => break,
                "as" => self.at += 2,
                name => {
                    segments.push(name.to_owned());
                    self.at += 1;
                }
            }
        }
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        self.found(first, segments, true);
    }

    fn group(&mut self, prefix: &[String]) {
        self.at += 1;
        while !matches!(self.text(0), "}" | "") {
            self.tree(prefix);
            if self.text(0) == "," {
                self.at += 1;
            }
        }
        self.at += 1;
    }

    fn found(&mut self, first: usize, segments: Vec<String>, import: bool) {
        let Some(token) = self.tokens.get(first) else {
            return;
        };
        let segments = self.resolve(segments);
        self.found.push(Named { line: token.line, test: token.test, import, segments });
    }

    /// Turns `super` and `self` into paths from `crate`.
    fn resolve(&self, segments: Vec<String>) -> Vec<String> {
        let ups = segments.iter().take_while(|name| matches!(name.as_str(), "super" | "self"));
        let relative = ups.count();
        if relative == 0 || segments == ["self"] {
            return segments;
        }
        let up = segments.iter().filter(|name| *name == "super").count();
        let base = self.module.iter().take(self.module.len().saturating_sub(up));
        let rest = segments.iter().skip(relative);
        ["crate".to_owned()].iter().chain(base).chain(rest).cloned().collect()
    }

    fn token(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| &token.text)
    }
}

#[cfg(test)]
mod tests {
    use super::super::lexer::tokens;
    use super::*;

    fn long_paths(path: &str, text: &str) -> Vec<String> {
        let found = paths(path, &tokens(text));
        let long = found.iter().filter(|named| named.segments.len() > 1);
        long.map(|named| named.segments.join("::")).collect()
    }

    #[test]
    fn use_trees_are_unfolded() {
        assert_eq!(
            long_paths("a.rs", "use crate::{b::{self, c as d, e::*}, f}; use g::h;"),
            ["crate::b", "crate::b::c", "crate::b::e::*", "crate::f", "g::h"]
        );
        assert_eq!(long_paths("a.rs", "pub(crate) use ::i::j;"), ["i::j"]);
    }

    #[test]
    fn super_is_resolved_from_the_module_of_the_file() {
        assert_eq!(long_paths("a/b.rs", "use super::super::c::D;"), ["crate::c::D"]);
        assert_eq!(long_paths("a/mod.rs", "use super::c::D;"), ["crate::c::D"]);
        assert_eq!(
            long_paths("a/b/c.rs", "use super::d; super::super::e::f()"),
            ["crate::a::b::d", "crate::a::e::f"]
        );
        assert_eq!(
            long_paths(
                "a.rs",
                "mod tests { use super::b; mod c { use super::super::d; } } super::e()"
            ),
            ["crate::a::b", "crate::a::d", "crate::e"]
        );
        assert_eq!(long_paths("a.rs", "self::b::c()"), ["crate::a::b::c"]);
    }

    #[test]
    fn paths_in_line_are_seen() {
        assert_eq!(
            long_paths("a.rs", "fn f(x: &crate::b::C) -> <D as e::F>::G { h::<crate::i::J>() }"),
            ["crate::b::C", "e::F", "crate::i::J"]
        );
    }
}
