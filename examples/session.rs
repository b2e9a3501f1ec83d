//! A session from sign-in to sign-out.
//!
//! `cargo run -p restis-examples --example session`, as in `quickstart.rs`.

use restis::{
    Redis,
    session::{Changes, NewSession, Secrets, SessionConfig, Sessions, Updated},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // In production: SessionConfig::from_env(), which reads SESSION_SECRETS.
    let config = SessionConfig::new(Secrets::random()?);
    let sessions = Sessions::new(Redis::from_env()?, config)?;

    let new = NewSession::user("ada").set("theme", "dark");
    let Some(mut session) = sessions.create(new).await?.session() else {
        return Err("ada has too many sessions".into());
    };
    println!("cookie: {} bytes", sessions.set_cookie(&session).len());

    let changes = Changes::new().set("theme", "light").increment("visits", 1);
    if let Updated::Done { version, .. } = sessions.update(&mut session, &changes).await? {
        println!("version: {version}");
    }

    sessions.logout(&session).await?;
    // A session that ended never lives again.
    let late = sessions.update(&mut session, &changes).await?;
    println!("after sign-out: {late:?}");
    Ok(())
}
