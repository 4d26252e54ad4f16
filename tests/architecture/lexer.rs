//! Just enough of a Rust lexer: names and punctuation with their lines, without comments, strings
//! and lifetimes, and with a mark on test code.

/// A name, a number, `::` or one character of punctuation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) line: usize,
    pub(crate) text: String,
    /// Whether it belongs to an item behind `#[cfg(test)]`.
    pub(crate) test: bool,
}

impl Token {
    pub(crate) fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// Splits a source text into tokens.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: text.chars().collect(), at: 0, line: 1, tokens: Vec::new() };
    while lexer.at < lexer.rest.len() {
        lexer.step();
    }
    mark_tests(&mut lexer.tokens);
    lexer.tokens
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.skip_while(|c| c != '\n'),
            ('/', '*') => self.skip_block_comment(),
            ('"', _) => self.skip_quoted('"'),
            ('\'', _) => self.skip_char_or_lifetime(),
            (':', ':') => self.push(2),
            (c, _) if c.is_alphabetic() || c == '_' => self.name(),
            (c, _) if c.is_numeric() => {
                let end = (1..).find(|&n| !is_word(self.peek(n))).unwrap_or(1);
                self.push(end);
            }
            (c, _) if c.is_whitespace() => self.skip(1),
            _ => self.push(1),
        }
    }

    /// Takes a name, or what only begins like one: r"…", br#"…"#, b'…', r#name.
    fn name(&mut self) {
        let end = (1..).find(|&n| !is_word(self.peek(n))).unwrap_or(1);
        let name: String = self.rest[self.at..self.at + end].iter().collect();
        let raw = matches!(name.as_str(), "r" | "br" | "cr");
        let hashes = (0..).take_while(|&n| self.peek(end + n) == '#').count();
        match self.peek(end + hashes) {
            '"' if raw => {
                self.skip(end + hashes + 1);
                self.skip_raw(hashes);
            }
            '"' if matches!(name.as_str(), "b" | "c") => {
                self.skip(end);
                self.skip_quoted('"');
            }
            '\'' if name == "b" => {
                self.skip(end);
                self.skip_quoted('\'');
            }
            c if name == "r" && hashes == 1 && is_word(c) => self.skip(2),
            _ => self.push(end),
        }
    }

    fn skip_raw(&mut self, hashes: usize) {
        while self.at < self.rest.len() {
            let closed = self.peek(0) == '"' && (1..=hashes).all(|n| self.peek(n) == '#');
            self.skip(1);
            if closed {
                return self.skip(hashes);
            }
        }
    }

    fn skip_quoted(&mut self, quote: char) {
        self.skip(1);
        while self.at < self.rest.len() {
            match self.peek(0) {
                '\\' => self.skip(2),
                c if c == quote => return self.skip(1),
                _ => self.skip(1),
            }
        }
    }

    fn skip_char_or_lifetime(&mut self) {
        if self.peek(1) == '\\' || self.peek(2) == '\'' {
            self.skip_quoted('\'');
        } else {
            self.skip(1);
            self.skip_while(is_word);
        }
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0_usize;
        while self.at < self.rest.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.skip(1);
                    continue;
                }
            }
            self.skip(2);
            if depth == 0 {
                return;
            }
        }
    }

    fn push(&mut self, count: usize) {
        let text = self.rest[self.at..self.at + count].iter().collect();
        self.tokens.push(Token { line: self.line, text, test: false });
        self.skip(count);
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.at < self.rest.len() && wanted(self.peek(0)) {
            self.skip(1);
        }
    }

    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == '\n');
            self.at += 1;
        }
    }

    fn peek(&self, ahead: usize) -> char {
        self.rest.get(self.at + ahead).copied().unwrap_or('\0')
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Marks the item behind each `#[cfg(test)]`.
fn mark_tests(tokens: &mut [Token]) {
    let mut at = 0;
    while at < tokens.len() {
        let Some(mut end) = attribute(tokens, at) else {
            at += 1;
            continue;
        };
        let names: Vec<&str> = tokens[at..end].iter().map(|token| token.text.as_str()).collect();
        if names.get(2) == Some(&"cfg") && names.contains(&"test") && !names.contains(&"not") {
            while let Some(next) = attribute(tokens, end) {
                end = next;
            }
            end = item(tokens, end);
            tokens[at..end].iter_mut().for_each(|token| token.test = true);
        }
        at = end;
    }
}

/// Gives the end of the attribute `#[…]` that begins at `at`.
fn attribute(tokens: &[Token], at: usize) -> Option<usize> {
    let begins = tokens.get(at)?.text == "#" && tokens.get(at + 1)?.text == "[";
    begins.then(|| closing(tokens, at + 1))
}

/// Gives the end of the item that begins at `at`: its `;` or its closing brace.
fn item(tokens: &[Token], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" => return at + 1,
            "{" => return closing(tokens, at),
            "(" | "[" => at = closing(tokens, at),
            _ => at += 1,
        }
    }
    at
}

/// Gives the place behind the bracket that closes the one at `at`.
fn closing(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        tokens(text).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_strings_and_lifetimes_are_no_tokens() {
        let text = r##"
            // a /* b
            /* c /* d */ e */ fn f<'a>(x: &'a str) -> char { '"' } /// g
            let s = "h \" i"; let r = r#"j " k"#; let b = b"l"; let c = '\''; let d = b'm'; r#type
        "##;
        let names: Vec<String> =
            tokens(text).into_iter().filter(Token::is_name).map(|t| t.text).collect();
        let expected = "fn f x str char let s let r let b let c let d type";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn tokens_know_their_line() {
        let lines: Vec<usize> = tokens("a\n/*\n*/ b \"\n\" c").iter().map(|t| t.line).collect();
        assert_eq!(lines, [1, 3, 4]);
        assert_eq!(texts("a::b.c0 1_u8"), ["a", "::", "b", ".", "c0", "1_u8"]);
    }

    #[test]
    fn only_the_item_behind_cfg_test_is_test_code() {
        let text = "#[cfg(test)] use a; fn b() {} #[cfg(test)] #[allow(x)] mod c { fn d() {} } e \
                    #[cfg(not(test))] fn f() {}";
        let test = |name: &str| tokens(text).iter().find(|t| t.text == name).unwrap().test;
        assert_eq!(
            ["a", "b", "c", "d", "e", "f"].map(test),
            [true, false, true, true, false, false]
        );
    }
}
