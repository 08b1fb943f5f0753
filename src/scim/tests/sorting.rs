//! Lists in an order that was asked for (RFC 7644 §3.4.2.3).

use serde_json::{Value, json};

use super::app::App;

fn names(page: &Value) -> Vec<&str> {
    page["Resources"].as_array().unwrap().iter().map(|one| one["userName"].as_str().unwrap()).collect()
}

async fn people() -> App {
    let app = App::new().await;
    for (name, title) in [("mia", Some("B")), ("Zoe", None), ("alice", Some("b")), ("bob", Some("A")), ("carl", None)] {
        app.post("/Users", json!({"userName": name, "title": title, "active": name != "carl"})).await;
    }
    app
}

#[tokio::test]
async fn a_sorted_list_has_pages_in_that_order_and_equals_in_the_order_of_creation() {
    let app = people().await;
    for (query, expected) in [
        ("sortBy=userName", vec!["alice", "bob", "carl", "mia", "Zoe"]),
        ("sortBy=userName&sortOrder=descending&count=2", vec!["Zoe", "mia"]),
        ("sortBy=userName&startIndex=4&count=9", vec!["mia", "Zoe"]),
        ("sortBy=title", vec!["bob", "mia", "alice", "Zoe", "carl"]),
        ("sortBy=title&sortOrder=descending", vec!["Zoe", "carl", "mia", "alice", "bob"]),
        ("sortBy=title&startIndex=2&count=3", vec!["mia", "alice", "Zoe"]),
        ("sortBy=title&startIndex=5", vec!["carl"]),
        ("sortBy=title&startIndex=6", vec![]),
        ("sortBy=title&count=0", vec![]),
        ("sortBy=title&startIndex=10000&count=1000", vec![]),
        ("sortBy=userName&startIndex=9223372036854775807&count=1000", vec![]),
        ("sortOrder=descending", vec!["mia", "Zoe", "alice", "bob", "carl"]),
        ("sortBy=", vec!["mia", "Zoe", "alice", "bob", "carl"]),
    ] {
        let page = app.get(&format!("/Users?{query}")).await.body;
        assert_eq!((names(&page), &page["totalResults"]), (expected, &json!(5)), "{query}");
    }
    let filtered = app.get("/Users?filter=title%20pr&sortBy=userName&sortOrder=descending&count=2").await.body;
    assert_eq!((names(&filtered), &filtered["totalResults"]), (vec!["mia", "bob"], &json!(3)));
    let search = json!({"sortBy": "meta.created", "sortOrder": "descending", "count": 2});
    assert_eq!(names(&app.post("/Users/.search", search).await.body), ["carl", "bob"]);
    // Only users have this attribute, so the list is of one type.
    let search = json!({"filter": "title pr", "sortBy": "userName", "count": 1});
    let titled = json!({"filter": "userName pr", "sortBy": "userName", "count": 1});
    for body in [search, titled] {
        let found = app.post("/.search", body).await.body;
        assert_eq!(names(&found), ["alice"]);
    }
    assert_eq!(app.get("/ServiceProviderConfig").await.body["sort"]["supported"], true);
}

#[tokio::test]
async fn an_order_that_cannot_be_kept_is_refused_with_the_reason() {
    let app = people().await;
    for (answer, reason) in [
        (app.get("/Users?sortBy=userName&cursor").await, "order of creation"),
        (app.get("/Users?sortBy=shoeSize").await, "shoeSize"),
        (app.get("/Users?sortBy=userName&sortOrder=up").await, "ascending or descending"),
        (app.post("/.search", json!({"sortBy": "userName"})).await, "/Users/.search"),
    ] {
        assert_eq!((answer.status.as_u16(), &answer.body["scimType"]), (400, &json!("invalidValue")));
        assert!(answer.body["detail"].as_str().unwrap().contains(reason), "{}", answer.body);
    }
}

#[tokio::test]
async fn an_order_that_no_index_has_is_read_so_far_and_no_farther() {
    let app = people().await;
    for query in [
        "sortBy=title&startIndex=10001",
        "sortBy=title&startIndex=9223372036854775807&count=0",
        "sortBy=userName&filter=title%20pr&startIndex=10001",
    ] {
        let refused = app.get(&format!("/Users?{query}")).await;
        assert_eq!((refused.status.as_u16(), &refused.body["scimType"]), (400, &json!("tooMany")), "{query}");
        assert!(refused.body["detail"].as_str().unwrap().contains("startIndex of at most 10000"), "{}", refused.body);
    }
}
