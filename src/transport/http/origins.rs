//! Web pages of other origins that may use the API.

/// Origins (RFC 6454) that a browser may come from. The server's own always may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origins {
    /// `*`: any.
    Any,
    /// These, in lower case, without default ports: as browsers send them.
    Listed(Vec<String>),
}

impl Origins {
    /// Reads a list with commas between.
    ///
    /// # Errors
    /// A sentence that names the entry that is no origin.
    pub fn parse(list: &str) -> Result<Self, String> {
        let entries = || list.split(',').map(str::trim).filter(|e| !e.is_empty());
        if entries().any(|entry| entry == "*") {
            return Ok(Self::Any);
        }
        entries()
            .map(|entry| {
                origin(entry).ok_or_else(|| {
                    format!("{entry:?} is not an origin, such as https://chat.example (no path)")
                })
            })
            .collect::<Result<_, _>>()
            .map(Self::Listed)
    }

    /// Whether a request with this `Origin` header may use the API.
    pub fn permits(&self, origin: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(origins) => origins.iter().any(|o| o.eq_ignore_ascii_case(origin)),
        }
    }
}

/// The entry as a browser would send it. Schemes of apps (`capacitor://localhost`) are origins too.
fn origin(entry: &str) -> Option<String> {
    let entry = entry.to_ascii_lowercase();
    let (scheme, host) = entry.split_once("://")?;
    let scheme_sound = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    let host_sound = !host.is_empty()
        && host
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-._:[]".contains(c));
    if !scheme_sound || !host_sound {
        return None;
    }
    let default_port = match scheme {
        "https" => ":443",
        "http" => ":80",
        _ => "",
    };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    Some(format!("{scheme}://{host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listed_origin_may_come_and_no_other() {
        let origins = Origins::parse("https://Chat.example:443, http://localhost:5173").unwrap();
        assert!(origins.permits("https://chat.example"));
        assert!(origins.permits("http://localhost:5173"));
        assert!(!origins.permits("http://chat.example"));
        assert!(!origins.permits("https://chat.example.evil"));
        assert!(!origins.permits("null"));
    }

    #[test]
    fn apps_have_origins_too() {
        let origins = Origins::parse("capacitor://localhost,http://[::1]:8080").unwrap();
        assert!(origins.permits("capacitor://localhost"));
        assert!(origins.permits("http://[::1]:8080"));
    }

    #[test]
    fn nothing_listed_is_nobody_and_a_star_is_anybody() {
        assert!(!Origins::parse("").unwrap().permits("https://a.example"));
        assert!(Origins::parse("*").unwrap().permits("https://a.example"));
    }

    #[test]
    fn what_no_browser_sends_is_refused() {
        for list in [
            "chat.example",
            "https://",
            "https://a.example/",
            "https://u@a",
            "null",
        ] {
            assert!(Origins::parse(list).is_err(), "{list}");
        }
    }
}
