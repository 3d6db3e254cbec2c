//! Connections by way of a proxy, as an extension of `ureq`, which by itself asks a proxy for a
//! tunnel whatever the scheme is. Many proxies let no tunnel through to port 80, and requests for
//! `http://` are theirs to read: so those go to the proxy itself, with the whole URL in their line.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, DefaultConnector, NextTimeout, Transport,
};
use ureq::{Agent, Error, Proxy};

use super::proxy::Proxies;

/// What an agent's configuration is made by, for the proxy that it names.
type Configure = dyn Fn(Option<Proxy>) -> Config + Send + Sync;

/// An agent that reaches each URL, also one that it is redirected to, by the proxy that is for it.
/// It must keep no connection: a second request on one would not have its line rewritten.
pub fn agent(proxies: Proxies, configure: Box<Configure>) -> Agent {
    let config = configure(None);
    let names = Names {
        proxies: proxies.clone(),
        system: DefaultResolver::default(),
    };
    let route = Route {
        proxies,
        configure,
        names: DefaultResolver::default(),
        direct: Arc::new(DefaultConnector::default()),
    };
    Agent::with_parts(config, route, names)
}

/// Looks up no name that a proxy will look up: here it may not be known at all.
#[derive(Debug)]
struct Names {
    proxies: Proxies,
    system: DefaultResolver,
}

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        match self.proxies.of(uri) {
            Some(_) => Ok(self.empty()),
            None => self.system.resolve(uri, config, timeout),
        }
    }
}

struct Route {
    proxies: Proxies,
    configure: Box<Configure>,
    names: DefaultResolver,
    direct: Arc<DefaultConnector>,
}

impl fmt::Debug for Route {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.proxies.fmt(to)
    }
}

impl Connector for Route {
    type Out = Box<dyn Transport>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<()>,
    ) -> Result<Option<Self::Out>, Error> {
        match self.proxies.of(details.uri) {
            None => self.direct.connect(details, chained),
            Some(proxy) if details.needs_tls() => self.tunnel(details, proxy),
            Some(proxy) => self.forward(details, proxy),
        }
    }
}

impl Route {
    /// CONNECT, which `ureq` does where its configuration names a proxy.
    fn tunnel(
        &self,
        details: &ConnectionDetails<'_>,
        proxy: &Proxy,
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        let config = (self.configure)(Some(proxy.clone()));
        let details = self.part(details, details.uri, &config, details.addrs.clone());
        self.direct.connect(&details, None)
    }

    /// A connection to the proxy, on which the request's head is rewritten.
    fn forward(
        &self,
        details: &ConnectionDetails<'_>,
        proxy: &Proxy,
    ) -> Result<Option<Box<dyn Transport>>, Error> {
        let found = self
            .names
            .resolve(proxy.uri(), details.config, details.timeout)?;
        let to_proxy = self.part(details, proxy.uri(), details.config, found);
        let connection = self.direct.connect(&to_proxy, None)?;
        let head = Head::new(details.uri, proxy);
        Ok(connection.map(|inner| -> Box<dyn Transport> {
            Box::new(Forwarded {
                inner,
                head: Some(head),
            })
        }))
    }

    /// The same attempt, towards `uri`, in which proxies are looked up and reached directly.
    fn part<'d>(
        &'d self,
        details: &ConnectionDetails<'d>,
        uri: &'d Uri,
        config: &'d Config,
        addrs: ResolvedSocketAddrs,
    ) -> ConnectionDetails<'d> {
        let direct = Arc::clone(&self.direct);
        let connect = move |details: &ConnectionDetails<'_>| {
            let connection = direct.connect(details, None)?;
            connection.ok_or(Error::ConnectionFailed)
        };
        ConnectionDetails {
            uri,
            addrs,
            config,
            request_level: details.request_level,
            resolver: &self.names,
            now: details.now,
            timeout: details.timeout,
            current_time: Arc::clone(&details.current_time),
            run_connector: Arc::new(connect),
            register_shutdown: Arc::clone(&details.register_shutdown),
        }
    }
}

/// What a request's head lacks to be understood by a proxy.
struct Head {
    /// `http://host:port`, without who asks.
    origin: String,
    /// Base64 of user and password.
    credentials: Option<String>,
}

impl Head {
    fn new(uri: &Uri, proxy: &Proxy) -> Self {
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        let host = authority.rsplit('@').next().unwrap_or_default();
        let pair = proxy
            .username()
            .map(|user| format!("{user}:{}", proxy.password().unwrap_or_default()));
        Self {
            origin: format!("http://{host}"),
            credentials: pair.map(|pair| BASE64.encode(pair.as_bytes())),
        }
    }

    /// `written` begins with the request's line, which `ureq` writes whole.
    fn completed(&self, written: &[u8]) -> Vec<u8> {
        let target = written.iter().position(|byte| *byte == b' ');
        let (method, rest) = written.split_at(target.map_or(0, |space| space + 1));
        let end = rest.iter().position(|byte| *byte == b'\n');
        let (line, headers) = rest.split_at(end.map_or(0, |end| end + 1));
        let shown = self.credentials.iter();
        let shown = shown.map(|pair| format!("Proxy-Authorization: Basic {pair}\r\n"));
        let shown: String = shown.collect();
        [
            method,
            self.origin.as_bytes(),
            line,
            shown.as_bytes(),
            headers,
        ]
        .concat()
    }
}

struct Forwarded {
    inner: Box<dyn Transport>,
    /// Until it is sent.
    head: Option<Head>,
}

impl fmt::Debug for Forwarded {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(to)
    }
}

impl Transport for Forwarded {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.inner.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        let Some(head) = self.head.take() else {
            return self.inner.transmit_output(amount, timeout);
        };
        let completed = head.completed(&self.inner.buffers().output()[..amount]);
        let most = self.inner.buffers().output().len();
        for piece in completed.chunks(most) {
            self.inner.buffers().output()[..piece.len()].copy_from_slice(piece);
            self.inner.transmit_output(piece.len(), timeout)?;
        }
        Ok(())
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.inner.await_input(timeout)
    }

    fn is_open(&mut self) -> bool {
        false // only for being asked again, for which it is not meant
    }

    fn is_tls(&self) -> bool {
        self.inner.is_tls()
    }
}
