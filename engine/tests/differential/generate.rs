//! Random commands from templates over a small alphabet of keys and hostile values.

use std::sync::LazyLock;

use crate::redis::Version;

/// A small generator of random numbers (splitmix64): the same on every machine.
#[derive(Clone)]
pub(crate) struct Rng(pub(crate) u64);

impl Rng {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// A command and how its replies are compared.
#[derive(Clone, Debug)]
pub(crate) struct Generated {
    pub(crate) how: char,
    pub(crate) args: Vec<Vec<u8>>,
}

enum Part {
    Word(&'static str),
    Repeat(Box<Part>),
    Optional(Vec<Part>),
    Choice(Vec<Vec<Part>>),
    /// Some of them in any order, one perhaps again.
    Options(Vec<Vec<Part>>),
}

struct Template {
    how: char,
    since: Version,
    name: &'static str,
    parts: Vec<Part>,
}

static TEMPLATES: LazyLock<Vec<Template>> = LazyLock::new(|| {
    let only = std::env::var("RESTIS_DIFF_ONLY")
        .unwrap_or_default()
        .to_uppercase();
    let wanted =
        |name: &str| only.is_empty() || only.split(',').any(|prefix| name.starts_with(prefix));
    include_str!("commands.txt")
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line[1..].split_ascii_whitespace();
            let how = line.chars().next().unwrap();
            let mut since = (0, 0);
            if let Some(version) = words.clone().next().unwrap().strip_prefix('@') {
                let (major, minor) = version.split_once('.').unwrap();
                since = (major.parse().unwrap(), minor.parse().unwrap());
                words.next();
            }
            let name = words.clone().next().unwrap();
            let (parts, end) = parse(&mut words);
            assert_eq!(end, None, "{line}");
            Template {
                how,
                since,
                name,
                parts,
            }
        })
        .filter(|template| wanted(template.name))
        .collect()
});

/// Reads parts until a closing word.
fn parse(words: &mut dyn Iterator<Item = &'static str>) -> (Vec<Part>, Option<&'static str>) {
    let mut parts = Vec::new();
    while let Some(word) = words.next() {
        match word {
            "[" => parts.push(Part::Optional(parse(words).0)),
            "(" => parts.push(Part::Choice(choices(words))),
            "{" => parts.push(Part::Options(choices(words))),
            "]" | ")" | "}" | "|" => return (parts, Some(word)),
            "+" => {
                let last = parts.pop().unwrap();
                parts.push(Part::Repeat(Box::new(last)));
            }
            word => parts.push(Part::Word(word)),
        }
    }
    (parts, None)
}

fn choices(words: &mut dyn Iterator<Item = &'static str>) -> Vec<Vec<Part>> {
    let mut choices = Vec::new();
    loop {
        let (choice, end) = parse(words);
        choices.push(choice);
        if end != Some("|") {
            return choices;
        }
    }
}

/// A random command that this version has.
pub(crate) fn command(version: Version, rng: &mut Rng) -> Generated {
    let template = loop {
        let template = rng.pick(&TEMPLATES);
        if template.since <= version {
            break template;
        }
    };
    let mut args = Vec::new();
    expand_all(&template.parts, rng, &mut args);
    Generated {
        how: template.how,
        args,
    }
}

fn expand_all(parts: &[Part], rng: &mut Rng, args: &mut Vec<Vec<u8>>) {
    for part in parts {
        expand(part, rng, args);
    }
}

fn expand(part: &Part, rng: &mut Rng, args: &mut Vec<Vec<u8>>) {
    match part {
        Part::Word(word) => args.push(word_of(word, rng)),
        Part::Repeat(part) => (0..=rng.below(3)).for_each(|_| expand(part, rng, args)),
        Part::Optional(parts) => {
            let times = [0, 0, 0, 1, 1, 1, 1, 2][rng.below(8)];
            (0..times).for_each(|_| expand_all(parts, rng, args));
        }
        Part::Options(options) => {
            for _ in 0..rng.below(4) {
                let option: &Vec<Part> = rng.pick(options);
                let times = 1 + usize::from(rng.below(6) == 0);
                (0..times).for_each(|_| expand_all(option, rng, args));
            }
        }
        Part::Choice(choices) => {
            let choice: &Vec<Part> = rng.pick(choices);
            expand_all(choice, rng, args);
        }
    }
}

/// The keys that any command may use.
pub(crate) const KEYS: &[&str] = &[
    "s1", "s2", "s3", "h1", "h2", "l1", "l2", "S1", "S2", "S3", "z1", "z2", "z3", "x1", "x2", "b1",
    "b2",
];

/// Sorted sets whose order would be undefined if other commands wrote to them.
pub(crate) const OWN_KEYS: &[&str] = &["e1", "e2", "g1", "g2", "P1", "P2"];

const VALUES: &[&[u8]] = &[
    b"",
    b"a",
    b"b",
    b"abc",
    b"hello world",
    b"\0",
    b"\xff\xfe\0\x01",
    b"0",
    b"1",
    b"-1",
    b"10",
    b"01",
    b"+1",
    b" 1",
    b"1 ",
    b"1.5",
    b"-0",
    b"1e3",
    b"nan",
    b"inf",
    b"-inf",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"3.0e3",
    b"\r\n",
    b"\"quoted\\",
    b"caf\xc3\xa9",
    b"a long value of more than sixty-four bytes, so that no compact encoding holds it any longer",
];
const FIELDS: &[&[u8]] = &[
    b"a", b"b", b"c", b"d", b"e", b"", b"1", b"2", b"-3", b"\xff\0", b"aa", b"ab",
];
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "5",
    "-1",
    "-2",
    "-3",
    "7",
    "10",
    "100",
    "-100",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775806",
    "2147483648",
    "-2147483649",
    "4294967296",
    "127",
    "128",
    "255",
    "256",
];
const FLOATS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "-1",
    "1.5",
    "-2.25",
    "0.1",
    "0.2",
    "3.14159",
    "1e10",
    "-1e-5",
    "100",
    "1e17",
    "inf",
    "-inf",
    "5e-324",
    "0.30000000000000004",
    "-0",
    "1e300",
    "12345678.9",
    "+2",
    "1e3",
];
const BOUNDS: &[&str] = &[
    "0", "1", "2", "-inf", "+inf", "(1", "(2", "1.5", "(-1", "3", "inf", "100", "(inf",
];
const LEXICAL: &[&str] = &["-", "+", "[a", "(a", "[b", "(c", "[aa", "[", "(", "[1"];
const PATTERNS: &[&str] = &[
    "*", "s*", "?1", "[hl]1", "a*", "*a", "[^a]", "[a-c]*", "\\*", "h1", "", "[", "a\\", "[z-a]",
    "**1", "?",
];
const IDS: &[&str] = &[
    "1-1", "1-2", "2-0", "2-1", "3-5", "5-1", "5-*", "7-0", "8-*", "10-1", "12-3", "15-*", "20-1",
    "0-1", "3", "6", "0", "25-2", "30-*",
];
const STREAM_BOUNDS: &[&str] = &[
    "-",
    "+",
    "1-1",
    "(1-1",
    "2",
    "(2",
    "5",
    "7-0",
    "(5-1",
    "10",
    "0",
    "18446744073709551615",
];
const BITFIELDS: &[&str] = &[
    "u1", "u2", "u8", "i8", "i5", "u16", "i16", "u32", "i32", "i64", "u63", "i1", "u4",
];
const SCRIPTS: &[&str] = &[
    "return redis.call('GET',KEYS[1])",
    "return redis.pcall('GET',KEYS[1])",
    "return {KEYS[1],ARGV[1],#KEYS,#ARGV}",
    "return redis.call('SET',KEYS[1],ARGV[1])",
    "local v=redis.call('GET',KEYS[1]) if v then return redis.call('INCRBY',KEYS[1],ARGV[1]) end return redis.call('SET',KEYS[1],ARGV[1])",
    "return redis.call('TYPE',KEYS[1])",
    "return {redis.call('TYPE',KEYS[1]),redis.call('EXISTS',KEYS[1]),redis.pcall('LLEN',KEYS[1])}",
    "return redis.pcall('LRANGE',KEYS[1],0,-1)",
    "return tonumber(ARGV[1])",
    "return cjson.encode({ARGV[1],#ARGV[1]})",
    "local ok,e=pcall(redis.call,'INCR',KEYS[1]) return {tostring(ok),e}",
    "redis.call('DEL',KEYS[1]) redis.call('RPUSH',KEYS[1],ARGV[1],1,2.5) return redis.call('LRANGE',KEYS[1],0,-1)",
    "return redis.call('MGET',KEYS[1],'s1','nokey')",
    "return redis.sha1hex(ARGV[1])",
    "return {cmsgpack.unpack(cmsgpack.pack(ARGV[1],1,{KEYS[1]}))}",
    "if redis.call('EXISTS',KEYS[1])==1 then return redis.call('PERSIST',KEYS[1]) else return redis.status_reply('none') end",
];

/// Where numbers end: of 64 bits, of what a double holds exactly, of the longest string.
const LIMITS: &[&str] = &[
    "0",
    "-0",
    "-1",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "18446744073709551615",
    "9007199254740992",
    "9007199254740993",
    "4294967295",
    "4294967296",
    "536870912",
    "2147483647",
    "inf",
    "-inf",
    "nan",
    "1e400",
    "1e-400",
    "",
    "0x10",
    "1.0",
];

fn word_of(word: &'static str, rng: &mut Rng) -> Vec<u8> {
    let Some(open) = word.find('{') else {
        return word.into();
    };
    let name = &word[open + 1..word.len() - 1];
    let mut text = word.as_bytes()[..open].to_vec();
    text.extend(placeholder(name, rng));
    text
}

fn now() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn placeholder(name: &str, rng: &mut Rng) -> Vec<u8> {
    fn one(words: &[&str], rng: &mut Rng) -> Vec<u8> {
        rng.pick(words).as_bytes().to_vec()
    }
    match name {
        // Redis 7 takes more for a score bound than Redis 8.
        "m" => loop {
            let bound = placeholder("any bound", rng);
            if !bound.contains(&b'x') && !bound.starts_with(b" ") {
                return bound;
            }
        },
        "k" => one(KEYS, rng),
        "e" => one(&["e1", "e1", "e2"], rng),
        "g" => one(&["g1", "g1", "g2"], rng),
        "s" | "h" | "l" | "S" | "z" | "x" | "b" => {
            if rng.below(12) == 0 {
                return one(KEYS, rng);
            }
            let own: Vec<&str> = KEYS
                .iter()
                .copied()
                .filter(|key| key.starts_with(name))
                .collect();
            one(&own, rng)
        }
        "i" | "d" | "any bound" | "L" if rng.below(16) == 0 => rng.pick(VALUES).to_vec(),
        "i" | "d" | "any bound" | "r1" | "n" | "c" | "T" | "U" | "j" | "lon" | "lat" | "r"
            if rng.below(24) == 0 =>
        {
            one(LIMITS, rng)
        }
        "N" => one(LIMITS, rng),
        "n" | "q" => one(&["0", "1", "2", "3", "4"], rng),
        "v" => rng.pick(VALUES).to_vec(),
        "f" => rng.pick(FIELDS).to_vec(),
        "i" => one(INTEGERS, rng),
        "bi" => one(
            &[
                "0",
                "1",
                "-1",
                "7",
                "100",
                "-100",
                "127",
                "128",
                "255",
                "256",
                "4294967296",
                "x",
            ],
            rng,
        ),
        "P" => one(&["P1", "P2"], rng),
        "r1" => one(&["1", "2", "-1", "-2", "0", "100"], rng),
        "c" => one(&["0", "1", "2", "3", "10"], rng),
        "d" => one(FLOATS, rng),
        "w" => one(PATTERNS, rng),
        "any bound" => one(BOUNDS, rng),
        "L" => one(LEXICAL, rng),
        "I" => one(IDS, rng),
        "j" => one(STREAM_BOUNDS, rng),
        "G" => one(&["g1", "g2"], rng),
        "C" => one(&["c1", "c2", "c3"], rng),
        "o" => one(
            &["0", "1", "2", "7", "8", "9", "15", "31", "63", "100", "200"],
            rng,
        ),
        "y" => one(BITFIELDS, rng),
        "T" => one(&["100", "200", "1000", "100000"], rng),
        "U" => one(&["100000", "250500", "1000499", "100000500"], rng),
        "A" => (now() + 500 + rng.below(3) as u64 * 1000)
            .to_string()
            .into(),
        "B" => (now() * 1000 + 500_250 + rng.below(3) as u64 * 1_000_000)
            .to_string()
            .into(),
        "lon" => one(
            &[
                "0",
                "13.361389",
                "15.087269",
                "-122.4",
                "179.99",
                "180",
                "-180",
                "2.35",
                "2.36",
            ],
            rng,
        ),
        "lat" => one(
            &[
                "0",
                "38.115556",
                "37.502669",
                "37.77",
                "85.05",
                "-85",
                "48.85",
                "48.86",
            ],
            rng,
        ),
        "r" => one(&["1", "10", "200", "1000", "25000", "0"], rng),
        "script" => one(SCRIPTS, rng),
        other => panic!("unknown placeholder {other}"),
    }
}
