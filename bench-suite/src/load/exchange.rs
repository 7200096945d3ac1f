//! One request and its response as bytes: what to send, when the response is complete, and whether it is correct.

use std::sync::Arc;

use super::affine::Affine;
use super::error::LoadError;
use super::options::{LoadOptions, Protocol};

/// The longest response that the generator accepts.
const MAX_RESPONSE: usize = 64 << 20;

/// The bytes of a message that its number takes.
const NUMBER: usize = 8;

/// The exchange in progress on one connection.
pub(super) enum Exchange {
    Echo {
        /// What is sent and must come back. It begins with the exchange's number, so that the answer to another
        /// exchange is detected.
        message: Vec<u8>,
        number: u64,
        received: usize,
        /// The expected response, if it differs from the message: how its first eight bytes follow from those of the
        /// message.
        answer: Option<(Affine, Vec<u8>)>,
    },
    Http {
        request: Arc<[u8]>,
        response: Vec<u8>,
        /// The lengths of the whole response and of its head, once the head has arrived.
        lengths: Option<(usize, usize)>,
    },
}

impl Exchange {
    /// An exchange for the connection with this number.
    pub(super) fn new(options: &LoadOptions, connection: usize) -> Self {
        match options.protocol {
            Protocol::Echo => {
                let message: Vec<u8> = (0..options.bytes.max(1))
                    .map(|at| (at % 251) as u8)
                    .collect();
                let whole = message.len() >= NUMBER;
                let answer = options.answer.filter(|_| whole);
                Self::Echo {
                    answer: answer.map(|map| (map, message.clone())),
                    // If the numbers determine the server's work, each connection uses different ones.
                    number: answer.map_or(0, |_| (connection as u64) << 40),
                    message,
                    received: 0,
                }
            }
            Protocol::Http => Self::Http {
                request: format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", options.server)
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
                answer,
            } => {
                *received = 0;
                *number += 1;
                if let Some((map, answer)) = answer {
                    answer[..NUMBER].copy_from_slice(&map.of(*number).to_le_bytes());
                }
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

    /// The bytes to send.
    pub(super) fn request(&self) -> &[u8] {
        match self {
            Self::Echo { message, .. } => message,
            Self::Http { request, .. } => request,
        }
    }

    /// Takes received bytes; true if the response is complete. `body` is the expected body of every HTTP response. If
    /// it is not known yet, the first response sets it.
    pub(super) fn receive(
        &mut self,
        bytes: &[u8],
        body: &mut Option<Vec<u8>>,
    ) -> Result<bool, LoadError> {
        match self {
            Self::Echo {
                message,
                received,
                answer,
                ..
            } => {
                let end = *received + bytes.len();
                let expected = answer.as_ref().map_or(&*message, |(_, answer)| answer);
                if expected.get(*received..end) != Some(bytes) {
                    let what = match answer {
                        Some(_) => "the server's answer is not what the request computes to",
                        None => "the server did not send the same bytes back",
                    };
                    return Err(LoadError::Wrong(what.to_owned()));
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
                        "a response is followed by unexpected bytes".to_owned(),
                    ));
                }
                let expected = body.get_or_insert_with(|| response[head..].to_vec());
                if response[head..] != expected[..] {
                    return Err(LoadError::Wrong(
                        "a response has an unexpected body".to_owned(),
                    ));
                }
                Ok(true)
            }
        }
    }
}

/// The lengths of the whole response and of its head; `None` while the head is incomplete.
fn response_lengths(bytes: &[u8]) -> Result<Option<(usize, usize)>, LoadError> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut response = httparse::Response::new(&mut headers);
    let head = match response.parse(bytes) {
        Ok(httparse::Status::Complete(head)) => head,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => {
            return Err(LoadError::Wrong(format!(
                "the response is not HTTP/1: {error}"
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

    fn options(protocol: Protocol, bytes: usize) -> LoadOptions {
        LoadOptions {
            protocol,
            server: "127.0.0.1:80".parse().unwrap(),
            connections: 1,
            bytes,
            rate: None,
            warm_up: std::time::Duration::ZERO,
            duration: std::time::Duration::ZERO,
            body: None,
            answer: None,
        }
    }

    #[test]
    fn a_computed_answer_is_checked_and_an_echo_is_refused() {
        let map = Affine::of_steps(1000);
        let asked = LoadOptions {
            answer: Some(map),
            ..options(Protocol::Echo, 12)
        };
        let mut exchange = Exchange::new(&asked, 3);
        exchange.begin();
        let request = exchange.request().to_vec();
        let number = u64::from_le_bytes(request[..8].try_into().unwrap());
        assert_eq!(number >> 40, 3);
        let mut answer = request.clone();
        answer[..8].copy_from_slice(&map.of(number).to_le_bytes());
        assert_eq!(exchange.receive(&answer, &mut None), Ok(true));
        exchange.begin();
        let echoed = exchange.request().to_vec();
        assert!(matches!(
            exchange.receive(&echoed, &mut None),
            Err(LoadError::Wrong(_))
        ));
    }

    fn http() -> Exchange {
        let mut exchange = Exchange::new(&options(Protocol::Http, 0), 0);
        exchange.begin();
        exchange
    }

    #[test]
    fn an_echo_is_whole_when_the_last_byte_is_back() {
        let mut exchange = Exchange::new(&options(Protocol::Echo, 10), 0);
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
        let mut exchange = Exchange::new(&options(Protocol::Echo, 2), 0);
        exchange.begin();
        let mut answer = exchange.request().to_vec();
        answer.push(0);
        assert!(exchange.receive(&answer, &mut None).is_err());
    }

    #[test]
    fn a_response_is_complete_after_its_content_length_in_any_pieces() {
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
