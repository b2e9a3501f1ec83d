//! When two replies count as the same.

use restis_engine::Reply;

use crate::generate::Generated;
use crate::redis::Version;

/// Where the engine follows Upstash, or a newer Redis, on purpose.
fn excused(version: Version, name: &str, theirs: &Reply, ours: &Reply) -> bool {
    let refused =
        |text: &str| matches!(theirs, Reply::Error(error) if error.message().contains(text));
    match name {
        // Upstash copies a key onto itself as nothing.
        "COPY" => theirs.is_error() && *ours == Reply::Int(0),
        // Upstash limits a range by rank, too.
        "ZRANGE" | "ZRANGESTORE" => refused("LIMIT is only supported in combination"),
        // Which of two mistakes is told first.
        "GEOSEARCH" | "GEOSEARCHSTORE" => {
            theirs.is_error() && ours.is_error()
                || refused("could not decode requested zset member")
        }
        // What Redis would allocate for this COUNT.
        "XAUTOCLAIM" => refused("COUNT too high"),
        // Upstash accepts UNLINK without keys.
        "UNLINK" => refused("wrong number of arguments") && *ours == Reply::Int(0),
        _ => version < (8, 0) && excused_of_seven(name, theirs, ours),
    }
}

/// What a Redis 8 answers otherwise than a Redis 7.0.
fn excused_of_seven(name: &str, theirs: &Reply, ours: &Reply) -> bool {
    match name {
        // Since Redis 7.2 malformed arguments are an error for a missing key, too.
        "BITCOUNT" | "BITPOS" => {
            (matches!(theirs, Reply::Int(-1..=1)) || theirs.is_error()) && ours.is_error()
        }
        // Since Redis 7.2 claiming makes the consumer even if there is nothing to claim.
        "XGROUP" => *theirs == Reply::Int(1) && *ours == Reply::Int(0),
        // Later the lowest integer is no rank.
        "LPOS" | "LREM" => ours.is_error(),
        // Which of two mistakes is told first, or in which words.
        "SCAN" | "SSCAN" | "ZSCAN" => theirs.is_error() && ours.is_error(),
        _ => false,
    }
}

/// Whether the replies are the same, compared in the template's way.
pub(crate) fn same(version: Version, command: &Generated, theirs: &Reply, ours: &Reply) -> bool {
    let name = String::from_utf8_lossy(&command.args[0]);
    let same = match command.how {
        't' => near(&name, theirs, ours),
        'g' if version >= (8, 0) => equal('=', theirs, ours),
        how if name.starts_with("GEO") && version < (8, 0) => {
            equal(how, &seventeen_decimals(theirs), &seventeen_decimals(ours))
        }
        how => equal(how, theirs, ours),
    };
    same || excused(version, &name, theirs, ours)
}

/// Redis 7 prints coordinates with 17 decimals; Redis 8 prints, for about one number in 1,500, more
/// digits than it takes to read it back.
pub(crate) fn seventeen_decimals(reply: &Reply) -> Reply {
    match reply {
        Reply::Array(items) => Reply::array(items.iter().map(seventeen_decimals)),
        Reply::Bulk(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse::<f64>().ok())
            .map_or_else(
                || reply.clone(),
                |number| Reply::bulk(format!("{number:.17}")),
            ),
        other => other.clone(),
    }
}

fn equal(how: char, theirs: &Reply, ours: &Reply) -> bool {
    if let (Reply::Error(theirs), Reply::Error(ours)) = (theirs, ours) {
        // Redis cuts a text that it quotes at a zero byte.
        let until_zero = ours.message().split('\0').next().unwrap_or_default();
        return theirs.message() == ours.message()
            || (ours.message().contains('\0') && theirs.message().starts_with(until_zero));
    }
    match how {
        '=' => theirs == ours,
        '~' => sorted(theirs, 1) == sorted(ours, 1),
        '%' => sorted(theirs, 2) == sorted(ours, 2),
        'f' => by_value(theirs, ours),
        's' => scanned(theirs) == scanned(ours),
        'p' => without_idle(theirs) == without_idle(ours),
        'g' => groups(theirs, ours),
        'n' => std::mem::discriminant(theirs) == std::mem::discriminant(ours),
        other => panic!("unknown comparison {other}"),
    }
}

fn sorted(reply: &Reply, step: usize) -> Result<Vec<String>, String> {
    match reply {
        Reply::Array(items) => {
            let mut items: Vec<String> = items
                .chunks(step)
                .map(|chunk| format!("{chunk:?}"))
                .collect();
            items.sort();
            Ok(items)
        }
        other => Err(format!("{other:?}")),
    }
}

/// Redis 7.0 prints 17 digits, Redis 8 the fewest that read back the same, though sometimes others.
fn by_value(theirs: &Reply, ours: &Reply) -> bool {
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<f64>().ok();
    match (theirs, ours) {
        (Reply::Bulk(a), Reply::Bulk(b)) if a != b => {
            number(a).is_some_and(|a| number(b) == Some(a))
        }
        (Reply::Array(a), Reply::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| by_value(a, b))
        }
        _ => theirs == ours,
    }
}

/// Time passes between the two, up to seconds on a busy machine.
fn near(name: &str, theirs: &Reply, ours: &Reply) -> bool {
    match (theirs, ours) {
        (Reply::Int(a), Reply::Int(b)) if *a >= 0 && *b >= 0 => {
            a.abs_diff(*b)
                <= if name.starts_with('P') || name.starts_with("HP") {
                    3000
                } else {
                    3
                }
        }
        (Reply::Array(theirs), Reply::Array(ours)) => {
            let mut pairs = theirs.iter().zip(ours);
            theirs.len() == ours.len() && pairs.all(|(theirs, ours)| near(name, theirs, ours))
        }
        _ => equal('=', theirs, ours),
    }
}

fn scanned(reply: &Reply) -> (Option<Reply>, Result<Vec<String>, String>) {
    // Scores are compared by value.
    let plain = |item: &Reply| match item {
        Reply::Bulk(text) => {
            let number = std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse::<f64>().ok());
            number.map_or_else(|| item.clone(), Reply::double)
        }
        other => other.clone(),
    };
    match reply {
        Reply::Array(parts) if parts.len() == 2 => {
            let items = match &parts[1] {
                Reply::Array(items) => Reply::array(items.iter().map(plain)),
                other => other.clone(),
            };
            (Some(parts[0].clone()), sorted(&items, 1))
        }
        other => (None, Err(format!("{other:?}"))),
    }
}

/// Consumers are made by other commands since Redis 7.2, and entries are counted otherwise since 7.4.
fn groups(theirs: &Reply, ours: &Reply) -> bool {
    let (Reply::Array(theirs), Reply::Array(ours)) = (theirs, ours) else {
        return theirs == ours;
    };
    let same_group = |theirs: &Reply, ours: &Reply| match (theirs, ours) {
        (Reply::Array(a), Reply::Array(b)) => {
            let same = |at: usize| a.get(at) == b.get(at);
            [0, 1, 2, 4, 5, 6, 7, 8, 10].into_iter().all(same)
        }
        _ => theirs == ours,
    };
    theirs.len() == ours.len() && theirs.iter().zip(ours).all(|(a, b)| same_group(a, b))
}

fn without_idle(reply: &Reply) -> Reply {
    match reply {
        Reply::Array(rows) => Reply::array(rows.iter().map(|row| match row {
            Reply::Array(row) if row.len() == 4 => {
                Reply::array([row[0].clone(), row[1].clone(), row[3].clone()])
            }
            other => other.clone(),
        })),
        other => other.clone(),
    }
}
