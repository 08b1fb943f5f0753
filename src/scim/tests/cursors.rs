//! Walks by cursor (RFC 9865).

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};

use super::app::{App, Recorder};
use crate::scim::Settings;

fn names(page: &Value) -> Vec<String> {
    let name = |one: &Value| one["userName"].as_str().or(one["displayName"].as_str()).unwrap().to_owned();
    page["Resources"].as_array().unwrap().iter().map(name).collect()
}

impl App {
    /// All pages from the beginning to the end of a list.
    async fn walk(&self, query: &str) -> Vec<Value> {
        let (mut pages, mut cursor) = (Vec::new(), String::new());
        loop {
            let answer = self.get(&format!("{query}&cursor={cursor}")).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            pages.push(answer.body);
            match pages.last().unwrap().get("nextCursor") {
                Some(next) => cursor = next.as_str().unwrap().to_owned(),
                None => return pages,
            }
        }
    }
}

#[tokio::test]
async fn a_walk_shows_all_in_the_order_of_creation_and_ends_with_the_last() {
    let app = App::new().await;
    for n in 0..6 {
        app.user(&format!("u{n}")).await;
    }
    app.group("g", &[]).await;
    let pages = app.walk("/Users?count=3").await;
    assert_eq!(pages.iter().map(names).collect::<Vec<_>>(), [["u0", "u1", "u2"], ["u3", "u4", "u5"]]);
    for page in &pages {
        assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(6), &json!(3)));
        assert_eq!(page.get("startIndex"), None);
    }
    let found: Vec<_> = app.walk("/Users?count=2&filter=userName%20gt%20%22u2%22").await.iter().map(names).collect();
    assert_eq!(found, [vec!["u3", "u4"], vec!["u5"]]);
    let one = app.walk("/Users?filter=userName%20eq%20%22u4%22").await;
    assert_eq!((names(&one[0]), one.len(), &one[0]["totalResults"]), (vec!["u4".to_owned()], 1, &json!(1)));
    assert_eq!(names(&app.walk("/Users?count=1&filter=title%20pr").await[0]), Vec::<String>::new());
    // What is not asked for by a cursor is answered by index, as ever (RFC 9865 §2.3).
    assert_eq!(app.get("/Users").await.body["startIndex"], 1);
}

#[tokio::test]
async fn a_search_walks_over_users_and_then_groups() {
    let app = App::new().await;
    for name in ["a", "b"] {
        app.user(name).await;
        app.group(name, &[]).await;
    }
    for (path, count, expected) in [
        ("/.search", 2, vec![vec!["a", "b"], vec!["a", "b"]]),
        ("/.search", 3, vec![vec!["a", "b", "a"], vec!["b"]]),
        ("/Users/.search", 1, vec![vec!["a"], vec!["b"]]),
    ] {
        let (mut found, mut cursor) = (Vec::new(), json!(""));
        while !cursor.is_null() {
            let page = app.post(path, json!({"cursor": cursor, "count": count})).await.body;
            assert_eq!(page["totalResults"], if path == "/.search" { 4 } else { 2 });
            found.push(names(&page));
            cursor = page["nextCursor"].clone();
        }
        assert_eq!(found, expected, "{path} {count}");
    }
}

#[tokio::test]
async fn a_cursor_belongs_to_its_query_and_its_time() {
    let settings = Settings { cursor_timeout: chrono::Duration::seconds(-1), ..Settings::default() };
    let short = App::with(Recorder::default(), settings).await;
    let app = App::new().await;
    for app in [&app, &short] {
        app.user("a").await;
        app.user("b").await;
    }
    let first = app.get("/Users?cursor&count=1").await.body;
    let next = first["nextCursor"].as_str().unwrap();
    // A page of another size, or that shows other attributes, is the same walk.
    let second = app.get(&format!("/Users?cursor={next}&count=9&attributes=userName")).await.body;
    assert_eq!(names(&second), ["b"]);
    let expired = short.get("/Users?cursor&count=1").await.body["nextCursor"].as_str().unwrap().to_owned();
    for (app, query, scim_type) in [
        (&app, format!("/Users?cursor={next}&filter=title%20pr"), "invalidCursor"),
        (&app, format!("/Groups?cursor={next}"), "invalidCursor"),
        (&app, "/Users?cursor=7".into(), "invalidCursor"),
        (&short, format!("/Users?cursor={expired}"), "expiredCursor"),
        (&app, "/Users?cursor&count=0".into(), "invalidCount"),
        (&app, "/Users?cursor&count=-1".into(), "invalidCount"),
        (&app, "/Users?cursor&count=many".into(), "invalidCount"),
        (&app, format!("/Users?cursor={next}&startIndex=1"), "invalidValue"),
    ] {
        let answer = app.get(&query).await;
        assert_eq!((answer.status.as_u16(), answer.body["scimType"].as_str()), (400, Some(scim_type)), "{query}");
    }
    let stolen = app.call_as_other("GET", &format!("/Users?cursor={next}"), None).await;
    assert_eq!(stolen.body["scimType"], "invalidCursor");
    let config = app.get("/ServiceProviderConfig").await.body;
    let pagination = json!({
        "cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 100, "maxPageSize": 1000,
        "cursorTimeout": 3600,
    });
    assert_eq!(config["pagination"], pagination);
}

/// Others delete and create, also the very resources at which pages end, while walks of several sizes go on.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn who_lives_through_a_walk_is_shown_exactly_once_whoever_comes_and_goes() {
    let app = Arc::new(App::new().await);
    let mut doomed = Vec::new();
    for n in 0..120 {
        let id = app.user(&format!("u{n}")).await;
        if n % 2 == 1 {
            doomed.push(id);
        }
    }
    let churn = |half: usize| {
        let (app, doomed) = (app.clone(), doomed.clone());
        tokio::spawn(async move {
            for (n, id) in doomed.into_iter().enumerate().filter(|(n, _)| n % 2 == half) {
                assert_eq!(app.delete(&format!("/Users/{id}")).await.status, 204);
                let new = app.user(&format!("new{n}")).await;
                if n % 3 == 0 {
                    assert_eq!(app.delete(&format!("/Users/{new}")).await.status, 204);
                }
            }
        })
    };
    let churning = [churn(0), churn(1)];
    let live: BTreeSet<String> = (0..120).filter(|n| n % 2 == 0).map(|n| format!("u{n}")).collect();
    let (mut walks, mut met) = (0, 0);
    while walks < 3 || !churning.iter().all(tokio::task::JoinHandle::is_finished) {
        for query in ["/Users?count=7", "/Users?count=5&filter=active%20eq%20true"] {
            let seen: Vec<String> = app.walk(query).await.iter().flat_map(names).collect();
            let once: BTreeSet<String> = seen.iter().cloned().collect();
            assert_eq!(once.len(), seen.len(), "nobody is shown twice: {seen:?}");
            assert!(live.is_subset(&once), "nobody is lost: {seen:?}");
            met += usize::from(once.len() != live.len() && once.len() != 120);
            walks += 1;
        }
    }
    for churn in churning {
        churn.await.unwrap();
    }
    assert!(met > 0, "no walk met a change, of {walks}");
}
