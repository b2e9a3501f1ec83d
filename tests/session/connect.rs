//! Sessions shared with an Express application.

use crate::{World, config, on_every_backend};
use restis::session::connect::{ConnectSessions, Saved};
use serde_json::json;

on_every_backend! {
    a_session_of_node_is_read_changed_and_ended: config();
    a_created_session_looks_like_one_of_node: config();
}

async fn a_session_of_node_is_read_changed_and_ended(w: World) {
    let sessions = ConnectSessions::new(w.redis.clone(), ["secret"]).unwrap();
    let text = r#"{"cookie":{"originalMaxAge":86400000,"expires":"2026-11-22T00:00:00.000Z","httpOnly":true,"path":"/"},"user":{"id":7}}"#;
    w.redis
        .command("SET")
        .args(["sess:abc", text, "EX", "86400"])
        .query::<()>()
        .await
        .unwrap();
    let mut one = sessions.load("abc").await.unwrap().unwrap();
    let mut two = one.clone();
    assert_eq!(
        one.get::<serde_json::Value>("user").unwrap(),
        Some(json!({"id": 7}))
    );
    one.set("cart", &[1, 2]).unwrap();
    assert_eq!(sessions.save(&mut one).await.unwrap(), Saved::Done);
    one.remove("user");
    assert_eq!(
        sessions.save(&mut one).await.unwrap(),
        Saved::Done,
        "it knows its own text"
    );
    two.set("cart", &[3]).unwrap();
    assert_eq!(sessions.save(&mut two).await.unwrap(), Saved::Conflict);
    let stored: String = w
        .redis
        .command("GET")
        .arg("sess:abc")
        .query()
        .await
        .unwrap();
    let stored: serde_json::Value = serde_json::from_str(&stored).unwrap();
    assert_eq!(
        (&stored["cart"], &stored["cookie"]["originalMaxAge"]),
        (&json!([1, 2]), &json!(86_400_000))
    );
    assert!(stored.get("user").is_none());
    assert!(sessions.touch(&one).await.unwrap());
    assert!(sessions.destroy(&one).await.unwrap());
    assert_eq!(sessions.save(&mut one).await.unwrap(), Saved::Gone);
    assert!(!sessions.touch(&one).await.unwrap() && sessions.load("abc").await.unwrap().is_none());
    for id in ["", "a:b", "*", "a\nb"] {
        assert!(sessions.load(id).await.unwrap().is_none(), "{id:?}");
    }
    assert!(one.set("cookie", &1).is_err());
}

async fn a_created_session_looks_like_one_of_node(w: World) {
    let sessions = ConnectSessions::new(w.redis.clone(), ["secret"])
        .unwrap()
        .prefix("app:");
    let data = json!({"user": 1}).as_object().unwrap().clone();
    let session = sessions.create(&data).await.unwrap();
    let id = sessions
        .id_of_cookie(&sessions.cookie_of(&session))
        .unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(w.keys().await, [format!("app:{id}")]);
    assert_eq!(
        sessions
            .load(&id)
            .await
            .unwrap()
            .unwrap()
            .get::<u8>("user")
            .unwrap(),
        Some(1)
    );
    w.assert_ttls().await;
}
