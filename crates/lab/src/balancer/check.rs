//! Asks a target how it is, at its interval, for as long as it is registered.

use std::{io, net::SocketAddr, time::Duration};

use http::{
    Request, StatusCode,
    header::{CONNECTION, HOST, USER_AGENT},
};
use model::lab::HealthCheck;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::upstream::{Connection, Failure, Outgoing};

/// One health check: nothing when the answer was good, else what was wrong with it, in words.
///
/// Each check uses a connection of its own, so that it finds out whether the target still accepts any.
pub(super) async fn check(address: SocketAddr, rule: &HealthCheck) -> Result<(), String> {
    let limit = rule.timeout.get();
    let until = CancellationToken::new();
    // Whatever comes of it, the connection ends with the check.
    let _closes = until.clone().drop_guard();
    match timeout(limit, ask(address, rule, until)).await {
        Ok(Ok(status)) if is_good(status, &rule.codes) => Ok(()),
        Ok(Ok(status)) => Err(format!("health check answered {}", status.as_u16())),
        Ok(Err(failure)) => Err(describe(&failure)),
        Err(_late) => Err(format!("health check did not answer within {} ms", limit.as_millis())),
    }
}

async fn ask(address: SocketAddr, rule: &HealthCheck, until: CancellationToken) -> Result<StatusCode, Failure> {
    // The time limit around the whole check is the only one that matters here.
    let mut connection = Connection::open(address, Duration::MAX, until).await?;
    let request = Request::get(&rule.path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, "shaketable-health-checker")
        .header(CONNECTION, "close")
        .body(Outgoing::Empty);
    let request = request.map_err(|error| Failure::Connect { address, source: io::Error::other(error) })?;
    Ok(connection.send(request).await?.status())
}

fn is_good(status: StatusCode, codes: &[(u16, u16)]) -> bool {
    codes.iter().any(|(low, high)| (*low..=*high).contains(&status.as_u16()))
}

fn describe(failure: &Failure) -> String {
    match failure {
        Failure::Connect { source, .. } if source.kind() == io::ErrorKind::ConnectionRefused => {
            "health check: connection refused".to_owned()
        }
        other => format!("health check: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_good_when_any_range_has_it() {
        let codes = [(200, 204), (301, 301)];
        let good: Vec<u16> = (100..600).filter(|code| is_good(StatusCode::from_u16(*code).unwrap(), &codes)).collect();
        assert_eq!(good, [200, 201, 202, 203, 204, 301]);
    }
}
