//! How far an API server's clock is ahead of ours, by the `Date` of its answer.

use chrono::{DateTime, Duration, Utc};
use http::{Request, header};
use kube::client::Body;

use crate::{
    clock::Clock,
    cluster::ApiServer,
    server::{control::doctor::Skew, verifier::innermost},
};

pub(super) async fn of(server: &ApiServer, clock: &Clock) -> Skew {
    (server.address.to_string(), read(server, clock).await)
}

async fn read(server: &ApiServer, clock: &Clock) -> Result<Duration, String> {
    // Everybody may read it, and it costs nothing.
    let request = Request::get("/version").body(Body::empty()).map_err(|error| error.to_string())?;
    let asked = clock();
    let answer = server.client.send(request).await.map_err(|error| innermost(&error))?;
    let answered = clock();
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let date = date.ok_or("its answer has no Date")?;
    let theirs = DateTime::parse_from_rfc2822(date).map_err(|error| format!("its Date is {date}: {error}"))?;
    Ok(ahead(theirs.to_utc(), asked, answered))
}

/// `Date` has lost its fraction of a second, and was written some time between question and answer: half of each.
fn ahead(theirs: DateTime<Utc>, asked: DateTime<Utc>, answered: DateTime<Utc>) -> Duration {
    theirs + Duration::milliseconds(500) - (asked + (answered - asked) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_is_measured_from_the_middle_of_the_question() {
        let at = |milliseconds| DateTime::UNIX_EPOCH + Duration::milliseconds(milliseconds);
        assert_eq!(ahead(at(10_000), at(9_000), at(12_000)), Duration::zero());
        assert_eq!(ahead(at(70_000), at(9_000), at(12_000)), Duration::seconds(60));
        assert_eq!(ahead(at(3_000), at(10_500), at(10_500)), Duration::seconds(-7));
    }
}
