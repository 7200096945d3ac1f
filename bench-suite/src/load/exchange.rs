//! One request and its response, as bytes: what to send, when the response is whole, and whether it is right.

use std::net::SocketAddr;
use std::sync::Arc;

use super::{LoadError, Protocol};

/// Larger responses than this are not a load generator's business.
const MAX_RESPONSE: usize = 64 << 20;

/// The exchange that goes on on one connection.
pub(super) enum Exchange {
    Echo {
        /// What is sent and must come back. It begins with the exchange's number, so that an answer to another one is
        /// noticed.
        message: Vec<u8>,
        number: u64,
        received: usize,
    },
    Http {
        request: Arc<[u8]>,
        response: Vec<u8>,
        /// Length of the whole response and of its head, once the head is there.
        lengths: Option<(usize, usize)>,
    },
}

impl Exchange {
    pub(super) fn new(protocol: Protocol, bytes: usize, server: SocketAddr) -> Self {
        match protocol {
            Protocol::Echo => Self::Echo {
                message: (0..bytes.max(1)).map(|at| (at % 251) as u8).collect(),
                number: 0,
                received: 0,
            },
            Protocol::Http => Self::Http {
                request: format!("GET / HTTP/1.1\r\nHost: {server}\r\n\r\n")
                    .into_bytes()
                    .into(),
                response: Vec::new(),
                lengths: None,
            },
        }
    }

    /// Begins the next exchange.
    pub(super) fn begin(&mut self) {
        match self {
            Self::Echo {
                message,
                number,
                received,
            } => {
                *received = 0;
                *number += 1;
                let number = number.to_le_bytes();
                let length = message.len().min(number.len());
                message[..length].copy_from_slice(&number[..length]);
            }
            Self::Http {
                response, lengths, ..
            } => {
                response.clear();
                *lengths = None;
            }
        }
    }

    /// What is to be sent.
    pub(super) fn request(&self) -> &[u8] {
        match self {
            Self::Echo { message, .. } => message,
            Self::Http { request, .. } => request,
        }
    }

    /// Takes what was received; true when the response is whole. `body` is what every HTTP body must be; the first one
    /// decides if it is not known.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        body: &mut Option<Vec<u8>>,
    ) -> Result<bool, LoadError> {
        match self {
            Self::Echo {
                message, received, ..
            } => {
                let end = *received + bytes.len();
                if message.get(*received..end) != Some(bytes) {
                    return Err(LoadError::Wrong(
                        "the server sent back other bytes than it was sent".to_owned(),
                    ));
                }
                *received = end;
                Ok(end == message.len())
            }
            Self::Http {
                response, lengths, ..
            } => {
                response.extend_from_slice(bytes);
                if lengths.is_none() {
                    *lengths = response_lengths(response)?;
                }
                let Some((whole, head)) = *lengths else {
                    return Ok(false);
                };
                if response.len() < whole {
                    return Ok(false);
                }
                if response.len() > whole {
                    return Err(LoadError::Wrong(
                        "a response is followed by bytes that nobody asked for".to_owned(),
                    ));
                }
                let expected = body.get_or_insert_with(|| response[head..].to_vec());
                if response[head..] != expected[..] {
                    return Err(LoadError::Wrong(
                        "a response has another body than expected".to_owned(),
                    ));
                }
                Ok(true)
            }
        }
    }
}

/// The length of the whole response and of its head; `None` while the head is not whole.
fn response_lengths(bytes: &[u8]) -> Result<Option<(usize, usize)>, LoadError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => {
            return Err(LoadError::Wrong(format!(
                "what came is not HTTP/1: {error}"
            )));
        }
    };
    if response.code != Some(200) {
        return Err(LoadError::Wrong(format!(
            "the server answered with status {}",
            response.code.unwrap_or_default()
        )));
    }
    let body: usize = response
        .headers
        .iter()
        .find(|header| header.name.eq_ignore_ascii_case("content-length"))
        .and_then(|header| std::str::from_utf8(header.value).ok()?.trim().parse().ok())
        .ok_or_else(|| {
            LoadError::Wrong(
                "a response has no Content-Length; chunked bodies are not supported".to_owned(),
            )
        })?;
    if body > MAX_RESPONSE {
        return Err(LoadError::Wrong(format!(
            "a response announces {body} bytes"
        )));
    }
    Ok(Some((head + body, head)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http() -> Exchange {
        let mut exchange = Exchange::new(Protocol::Http, 0, "127.0.0.1:80".parse().unwrap());
        exchange.begin();
        exchange
    }

    #[test]
    fn an_echo_is_whole_when_the_last_byte_is_back() {
        let mut exchange = Exchange::new(Protocol::Echo, 10, "127.0.0.1:80".parse().unwrap());
        exchange.begin();
        let message = exchange.request().to_vec();
        assert!(!exchange.receive(&message[..4], &mut None).unwrap());
        assert!(exchange.receive(&message[4..], &mut None).unwrap());
        exchange.begin();
        assert_ne!(exchange.request(), message);
        assert!(exchange.receive(&message, &mut None).is_err());
    }

    #[test]
    fn an_echo_of_too_much_is_wrong() {
        let mut exchange = Exchange::new(Protocol::Echo, 2, "127.0.0.1:80".parse().unwrap());
        exchange.begin();
        let mut answer = exchange.request().to_vec();
        answer.push(0);
        assert!(exchange.receive(&answer, &mut None).is_err());
    }

    #[test]
    fn a_response_is_whole_after_its_content_length_however_it_is_cut() {
        let response = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\n\r\nhello";
        for cut in 1..response.len() {
            let (mut exchange, mut body) = (http(), None);
            assert!(!exchange.receive(&response[..cut], &mut body).unwrap());
            assert!(exchange.receive(&response[cut..], &mut body).unwrap());
            assert_eq!(body.unwrap(), b"hello");
        }
    }

    #[test]
    fn wrong_responses_are_noticed() {
        for response in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nworld",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            let mut body = Some(b"hello".to_vec());
            assert!(
                http().receive(response.as_bytes(), &mut body).is_err(),
                "{response}"
            );
        }
    }
}
