//! When two replies count as the same.

use restis_engine::Reply;

use crate::generate::Generated;

/// Where the engine follows a newer Redis, or Upstash, on purpose.
fn excused(name: &str, theirs: &Reply, ours: &Reply) -> bool {
    match name {
        // Since Redis 7.2 malformed arguments are an error for a missing key, too.
        "BITCOUNT" | "BITPOS" => {
            (matches!(theirs, Reply::Int(-1..=1)) || theirs.is_error()) && ours.is_error()
        }
        // Upstash copies a key onto itself as nothing.
        "COPY" => theirs.is_error() && *ours == Reply::Int(0),
        // Since Redis 7.2 claiming makes the consumer even if there is nothing to claim.
        "XGROUP" => *theirs == Reply::Int(1) && *ours == Reply::Int(0),
        // Which of two mistakes is told first.
        "GEOSEARCH" | "GEOSEARCHSTORE" => theirs.is_error() && ours.is_error(),
        _ => false,
    }
}

/// Whether the replies are the same, compared in the template's way.
pub(crate) fn same(command: &Generated, theirs: &Reply, ours: &Reply) -> bool {
    let name = String::from_utf8_lossy(&command.args[0]);
    let same = match command.how {
        't' => near(&name, theirs, ours),
        how => equal(how, theirs, ours),
    };
    same || excused(&name, theirs, ours)
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

/// Redis 7.0 prints 17 digits where Redis 8 prints the fewest that read back the same.
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
            a.abs_diff(*b) <= if name.starts_with('P') { 3000 } else { 3 }
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
