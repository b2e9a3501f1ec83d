//! The value that counts for each variable, and where it comes from.

use restis::variables::{EnvFiles, of_process};

use super::table::{GROUPS, Group, Shown, Variable};

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source<'f> {
    Process,
    File { name: &'f str, line: usize },
    Default,
}

/// A variable with its value as it may be shown.
#[derive(Debug)]
pub(super) struct Effective<'f> {
    pub(super) group: &'static Group,
    pub(super) variable: &'static Variable,
    /// `None`: not set.
    pub(super) value: Option<String>,
    pub(super) source: Source<'f>,
}

/// Every variable of the table.
pub(super) fn all(files: &EnvFiles) -> Vec<Effective<'_>> {
    let variables = GROUPS.iter().flat_map(|group| {
        group
            .variables
            .iter()
            .map(move |variable| (group, variable))
    });
    let effective = variables.map(|(group, variable)| {
        let (value, source) = match (of_process(variable.name), files.get(variable.name)) {
            (Some(value), _) => (value, Source::Process),
            (None, Some(found)) => {
                let (name, line) = (found.file, found.line);
                (found.value.to_owned(), Source::File { name, line })
            }
            (None, None) => (String::new(), Source::Default),
        };
        let value = value.trim();
        let (value, source) = match value.is_empty() {
            true => (None, Source::Default),
            false => (Some(shown(variable.shown, value)), source),
        };
        Effective {
            group,
            variable,
            value,
            source,
        }
    });
    effective.collect()
}

/// A value as it may be printed.
fn shown(how: Shown, value: &str) -> String {
    match how {
        Shown::Secret => format!("(secret, {} characters)", value.chars().count()),
        Shown::Url => without_secrets(value),
        Shown::Plain => value.chars().flat_map(char::escape_debug).collect(),
    }
}

/// An address without what may be secret: user, password, query and fragment.
fn without_secrets(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        // No address: what it is instead may be a secret.
        return format!("(no URL, {} characters)", url.chars().count());
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let shown = match rest.rsplit_once('@') {
        Some((_, address)) => format!("{scheme}://(secret)@{address}"),
        None => format!("{scheme}://{rest}"),
    };
    shown.chars().flat_map(char::escape_debug).collect()
}

/// Names that are set and look like a variable of the table, but are none.
pub(super) fn unknown(files: &EnvFiles) -> Vec<String> {
    let known = || GROUPS.iter().flat_map(|group| group.variables);
    let process = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let of_files = files.variables().map(|variable| variable.name.to_owned());
    let mut names: Vec<String> = process.chain(of_files).collect();
    names.sort_unstable();
    names.dedup();
    let unknown = names.iter().filter_map(|name| {
        if known().any(|variable| variable.name == name) {
            return None;
        }
        let near = known()
            .map(|variable| (distance(variable.name, name), variable.name))
            .min()
            .filter(|(distance, _)| *distance <= 2 && name.len() > 6);
        match near {
            Some((_, meant)) => Some(format!("{name}: nothing reads it; did you mean {meant}?")),
            None if name.starts_with("RESTIS_") => Some(format!("{name}: nothing reads it")),
            None => None,
        }
    });
    unknown.collect()
}

/// How many letters have to be changed, put in or left out.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut left_above = i;
        let mut left = i + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, y) in row.iter_mut().skip(1).zip(b.bytes()) {
            let value = (left_above + usize::from(x != y))
                .min(left + 1)
                .min(*cell + 1);
            left_above = std::mem::replace(cell, value);
            left = value;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_differ_are_counted() {
        for (a, b, expected) in [
            ("", "", 0),
            ("kitten", "sitting", 3),
            ("REDIS_URL", "REDIS_URLS", 1),
            ("abc", "", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn no_part_of_a_secret_is_shown() {
        for (url, expected) in [
            (
                "rediss://default:hunter2@h:6379/0",
                "rediss://(secret)@h:6379/0",
            ),
            ("redis://a:hunter2@hunter2@h", "redis://(secret)@h"),
            ("https://h/?_token=hunter2", "https://h/"),
            ("hunter2", "(no URL, 7 characters)"),
            ("unix:///run/redis.sock#hunter2", "unix:///run/redis.sock"),
        ] {
            assert_eq!(without_secrets(url), expected, "{url}");
        }
    }
}
