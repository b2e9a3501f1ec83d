//! Compiles the guide: each page of `docs/guide` is a module here, its code a doctest.

macro_rules! pages {
    ($($name:ident: $file:literal;)*) => {$(
        #[cfg(doctest)]
        #[doc = include_str!(concat!("../../docs/guide/", $file))]
        pub mod $name {}
    )*};
}

pages! {
    connect: "connect.md";
    events: "events.md";
    pipelines: "pipelines.md";
    pubsub: "pubsub.md";
    ratelimit: "ratelimit.md";
    scanning: "scanning.md";
    scripts: "scripts.md";
    sessions: "sessions.md";
    testing: "testing.md";
    values: "values.md";
}
