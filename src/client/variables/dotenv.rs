//! The text of a `.env` file.
//!
//! A parser of its own: the kept crate (dotenvy) stops at the first line it cannot read, repeats that
//! line in its error, which may hold a secret, and replaces `$NAME` within values, which empties a
//! part of a password.

/// A variable that a file sets.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) value: String,
    pub(super) line: usize,
}

/// What a file says, and what is wrong with it by line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) entries: Vec<Entry>,
    pub(super) problems: Vec<(usize, String)>,
}

/// Reads every line; one that cannot be read is a problem and ends nothing.
pub(super) fn parse(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut line = 1;
    while !rest.is_empty() {
        let (read, problem) = statement(rest);
        if let Some(problem) = problem {
            parsed.problems.push((line, problem.to_owned()));
        }
        if let Some((name, value)) = read.entry {
            if parsed.entries.iter().any(|entry| entry.name == name) {
                let twice = format!("{name} is set twice; the last line counts");
                parsed.problems.push((line, twice));
                parsed.entries.retain(|entry| entry.name != name);
            }
            parsed.entries.push(Entry { name, value, line });
        }
        let (taken, after) = rest.split_at(read.length);
        line += taken.matches('\n').count();
        rest = after;
    }
    parsed
}

/// One statement, up to and with the line break behind it.
struct Statement {
    entry: Option<(String, String)>,
    length: usize,
}

fn statement(text: &str) -> (Statement, Option<&'static str>) {
    let end = text.find('\n').map_or(text.len(), |at| at + 1);
    let line = &text[..end];
    let bare = line.trim();
    let nothing = Statement {
        entry: None,
        length: end,
    };
    if bare.is_empty() || bare.starts_with('#') {
        return (nothing, None);
    }
    let Some((name, _)) = line.split_once('=') else {
        return (nothing, Some("use NAME=value"));
    };
    let value_at = name.len() + 1;
    let name = name.trim();
    let name = name.strip_prefix("export ").unwrap_or(name).trim();
    let valid = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if name.is_empty() || !name.bytes().all(valid) {
        let problem = "a name has letters, digits and underscores only";
        return (nothing, Some(problem));
    }
    let blank = |c| matches!(c, ' ' | '\t');
    let value = text[value_at..].trim_start_matches(blank);
    let start = text.len() - value.len();
    let quote = value.chars().next().filter(|c| "'\"`".contains(*c));
    let (value, length, problem) = match quote.map(|quote| quoted(&value[1..], quote)) {
        Some(Some((value, length))) => {
            let after = start + 1 + length;
            let end = text[after..]
                .find('\n')
                .map_or(text.len(), |at| after + at + 1);
            let behind = text[after..end].trim();
            let stray = !behind.is_empty() && !behind.starts_with('#');
            let problem = "text behind the closing quote is left out";
            (value, end, stray.then_some(problem))
        }
        Some(None) => {
            let problem = "the quote that opens here does not close";
            (unquoted(&line[value_at..]), end, Some(problem))
        }
        None => (unquoted(&line[value_at..]), end, None),
    };
    let entry = Some((name.to_owned(), value));
    (Statement { entry, length }, problem)
}

/// The value up to the closing quote, and how far that is, the quote included.
///
/// In double quotes `\n`, `\r`, `\t`, `\\`, `\"` and `\$` are escapes; in the others nothing is.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            // Line breaks of Windows are line breaks.
            return Some((value.replace("\r\n", "\n"), at + 1));
        }
        if c != '\\' || quote != '"' {
            value.push(c);
            continue;
        }
        match chars.next()?.1 {
            'n' => value.push('\n'),
            'r' => value.push('\r'),
            't' => value.push('\t'),
            escaped @ ('\\' | '"' | '$') => value.push(escaped),
            other => value.extend(['\\', other]),
        }
    }
    None
}

/// The value up to a comment, which a blank precedes; `\$` is a dollar sign.
fn unquoted(text: &str) -> String {
    let comment = |(at, _): &(usize, &str)| *at == 0 || text[..*at].ends_with([' ', '\t']);
    let end = text.match_indices('#').find(comment);
    let end = end.map_or(text.len(), |(at, _)| at);
    text[..end].trim().replace("\\$", "$")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Pairs that `util.parseEnv` of Node.js 20 yields for the same text.
    const SAME_IN_NODE: [(&str, &str); 14] = [
        ("A=1", "1"),
        ("  A = 1  ", "1"),
        ("export A=1", "1"),
        ("A=", ""),
        ("A=hello world", "hello world"),
        ("A=hello # a comment", "hello"),
        ("A='single # quoted'", "single # quoted"),
        ("A=\"double # quoted\" # a comment", "double # quoted"),
        ("A=`back 'tick' \"s\"`", "back 'tick' \"s\""),
        ("A=\"two\\nlines\"", "two\nlines"),
        ("A='two\\nlines'", "two\\nlines"),
        ("A='{\"json\":\n  true}'", "{\"json\":\n  true}"),
        ("A=a=b=c", "a=b=c"),
        (
            "A=rediss://default:p$w@host:6379",
            "rediss://default:p$w@host:6379",
        ),
    ];

    #[test]
    fn a_line_means_what_it_means_elsewhere() {
        for (text, value) in SAME_IN_NODE {
            let parsed = parse(&format!("# before\n\n{text}\r\nB=2\n"));
            let values: Vec<_> = parsed
                .entries
                .iter()
                .map(|e| (&*e.name, &*e.value))
                .collect();
            assert_eq!(values, [("A", value), ("B", "2")], "{text}");
            assert_eq!(parsed.entries[0].line, 3, "{text}");
            assert!(parsed.problems.is_empty(), "{text}");
        }
    }

    #[test]
    fn nothing_of_a_secret_is_lost() {
        for (text, value) in [
            ("A=pass#word", "pass#word"),
            ("A=p\\$w", "p$w"),
            ("A=\"p\\$w\"", "p$w"),
            ("A=\"say \\\"hi\\\"\"", "say \"hi\""),
            ("A=\"C:\\dir\"", "C:\\dir"),
            ("\u{feff}A=1", "1"),
        ] {
            assert_eq!(parse(text).entries[0].value, value, "{text}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_is_a_problem_of_its_number_and_tells_no_value() {
        let text = "OK=1\nhunter2\nA B=hunter2\nC=\"hunter2\nD='x' hunter2\nOK=2\n";
        let parsed = parse(text);
        let lines: Vec<usize> = parsed.problems.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6]);
        let told: String = parsed.problems.iter().map(|(_, what)| &**what).collect();
        assert!(!told.contains("hunter2"), "{told}");
        let values: Vec<_> = parsed
            .entries
            .iter()
            .map(|e| (&*e.name, &*e.value))
            .collect();
        assert_eq!(values, [("C", "\"hunter2"), ("D", "x"), ("OK", "2")]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_its_end(text in "[A-C='\"`#\\\\$ \t\r\n\u{e9}]{0,60}") {
            let parsed = parse(&text);
            let lines = text.matches('\n').count() + 1;
            prop_assert!(parsed.entries.iter().all(|entry| entry.line <= lines));
        }

        #[test]
        fn any_value_survives_double_quotes(value in any::<String>()) {
            prop_assume!(!value.contains("\r\n"));
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            let parsed = parse(&format!("A=\"{escaped}\"\nB=1"));
            prop_assert_eq!(parsed.entries.len(), 2);
            prop_assert_eq!(&parsed.entries[0].value, &value);
        }
    }
}
