//! LCS: the longest common subsequence of two strings.

use bytes::Bytes;

use crate::budget::Budget;
use crate::command::{Args, Category, Keys, Outcome};
use crate::ctx::{Ctx, Spec};
use crate::error::{Error, SYNTAX};
use crate::parse::Walk;
use crate::reply::Reply;
use crate::text::Str;

/// The most pairs of bytes that are compared, as in Redis, where each takes four bytes.
const MOST_PAIRS: usize = (512 << 20) / 4;

const TOO_LONG: Error =
    Error::fixed("ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");

/// Lengths of common subsequences of the beginnings of two strings, and the way back through them.
struct Table<'s> {
    one: &'s [u8],
    other: &'s [u8],
    /// A bit for each pair of beginnings: whether the longest one is found without the last byte of
    /// `one` rather than without that of `other`.
    shorten_one: Vec<u64>,
    len: u32,
}

impl<'s> Table<'s> {
    fn new(one: &'s [u8], other: &'s [u8], budget: &Budget) -> Result<Self, Error> {
        let pairs = (one.len() + 1).saturating_mul(other.len() + 1);
        if pairs > MOST_PAIRS {
            return Err(TOO_LONG);
        }
        budget.hold(pairs / 8 + 8 * other.len())?;
        let mut table = Self {
            one,
            other,
            shorten_one: vec![0; (one.len() * other.len()).div_ceil(64)],
            len: 0,
        };
        let mut lengths = vec![0_u32; other.len() + 1];
        for (row, byte) in one.iter().enumerate() {
            budget.spend(other.len())?;
            table.fill(row, *byte, &mut lengths);
        }
        table.len = lengths.last().copied().unwrap_or(0);
        Ok(table)
    }

    /// Makes the lengths of the next row out of those of the last.
    fn fill(&mut self, row: usize, byte: u8, lengths: &mut [u32]) {
        let mut diagonal = 0;
        let first = row * self.other.len();
        for (column, other) in self.other.iter().enumerate() {
            let (left, above) = (lengths[column], lengths[column + 1]);
            lengths[column + 1] = if byte == *other {
                diagonal + 1
            } else {
                if above > left {
                    let at = first + column;
                    self.shorten_one[at / 64] |= 1 << (at % 64);
                }
                above.max(left)
            };
            diagonal = above;
        }
    }

    /// Calls `visit` with the places of the bytes that both have, the last one first.
    fn each(&self, mut visit: impl FnMut(usize, usize)) {
        let (mut row, mut column) = (self.one.len(), self.other.len());
        while row > 0 && column > 0 {
            if self.one[row - 1] == self.other[column - 1] {
                row -= 1;
                column -= 1;
                visit(row, column);
                continue;
            }
            let at = (row - 1) * self.other.len() + column - 1;
            if self.shorten_one[at / 64] >> (at % 64) & 1 == 1 {
                row -= 1;
            } else {
                column -= 1;
            }
        }
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.len as usize);
        self.each(|row, _| text.push(self.one[row]));
        text.reverse();
        text
    }

    /// Stretches that both have: where they begin, and how long they are.
    fn matches(&self) -> Vec<(usize, usize, usize)> {
        let mut found: Vec<(usize, usize, usize)> = Vec::new();
        self.each(|row, column| match found.last_mut() {
            Some((one, other, len)) if *one == row + 1 && *other == column + 1 => {
                (*one, *other) = (row, column);
                *len += 1;
            }
            _ => found.push((row, column, 1)),
        });
        found
    }
}

fn text(ctx: &Ctx<'_>, key: &[u8]) -> Result<Bytes, Error> {
    let text = ctx
        .db
        .read::<Str>(key)
        .map_err(|_| Error::fixed("ERR The specified keys must contain string values"))?;
    Ok(text.map(Str::to_bytes).unwrap_or_default())
}

fn lcs(ctx: &mut Ctx<'_>, args: Args<'_>) -> Outcome {
    let (one, other) = (text(ctx, args[1])?, text(ctx, args[2])?);
    let (mut indexes, mut only_len, mut with_len) = (false, false, false);
    let mut least = 0;
    let mut walk = Walk::new(args, 3);
    while !walk.is_empty() {
        if walk.word("IDX") {
            indexes = true;
        } else if walk.word("LEN") {
            only_len = true;
        } else if walk.word("WITHMATCHLEN") {
            with_len = true;
        } else if walk.word("MINMATCHLEN") {
            least = usize::try_from(walk.need_int()?).unwrap_or(0);
        } else {
            return Err(SYNTAX);
        }
    }
    if only_len && indexes {
        return Err(Error::fixed(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    let budget = &ctx.side.budget;
    let table = Table::new(&one, &other, budget)?;
    if only_len {
        return Ok(Reply::Int(table.len.into()));
    }
    if !indexes {
        return Ok(Reply::bulk(table.text()));
    }
    let mut matches = Vec::new();
    for (start, other_start, len) in table.matches() {
        if len < least {
            continue;
        }
        budget.hold(6 * size_of::<Reply>())?;
        let range = |start: usize| Reply::array([Reply::len(start), Reply::len(start + len - 1)]);
        let mut found = vec![range(start), range(other_start)];
        found.extend(with_len.then(|| Reply::len(len)));
        matches.push(Reply::Array(found));
    }
    Ok(Reply::array([
        Reply::bulk("matches"),
        Reply::Array(matches),
        Reply::bulk("len"),
        Reply::Int(table.len.into()),
    ]))
}

pub(crate) const COMMANDS: &[Spec] =
    &[Spec::read("LCS", -3, Keys::TWO, Category::String, lcs).redis_only()];
