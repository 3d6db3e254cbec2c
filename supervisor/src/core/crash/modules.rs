//! Modules whose package has another name, and those that Python itself does not have any more.

/// Module and package, both as one writes them.
const PACKAGES: &[(&str, &str)] = &[
    ("Crypto", "pycryptodome"),
    ("Cryptodome", "pycryptodomex"),
    ("MySQLdb", "mysqlclient"),
    ("OpenSSL", "pyOpenSSL"),
    ("PIL", "Pillow"),
    ("apscheduler", "APScheduler"),
    ("attr", "attrs"),
    ("azure.storage.blob", "azure-storage-blob"),
    ("azure.identity", "azure-identity"),
    ("azure.servicebus", "azure-servicebus"),
    ("bs4", "beautifulsoup4"),
    ("cassandra", "cassandra-driver"),
    ("consul", "python-consul"),
    ("cv2", "opencv-python"),
    ("dateutil", "python-dateutil"),
    ("dns", "dnspython"),
    ("dotenv", "python-dotenv"),
    ("elasticsearch_dsl", "elasticsearch-dsl"),
    ("etcd", "python-etcd"),
    ("flask", "Flask"),
    ("git", "GitPython"),
    ("github", "PyGithub"),
    ("gitlab", "python-gitlab"),
    ("google.cloud", "google-cloud-core"),
    ("google.cloud.pubsub", "google-cloud-pubsub"),
    ("google.cloud.pubsub_v1", "google-cloud-pubsub"),
    ("google.cloud.storage", "google-cloud-storage"),
    ("google.oauth2", "google-auth"),
    ("google.protobuf", "protobuf"),
    ("googleapiclient", "google-api-python-client"),
    ("imapclient", "IMAPClient"),
    ("influxdb_client", "influxdb-client"),
    ("jinja2", "Jinja2"),
    ("jose", "python-jose"),
    ("jwt", "PyJWT"),
    ("kafka", "kafka-python"),
    ("ldap", "python-ldap"),
    ("magic", "python-magic"),
    ("markdown", "Markdown"),
    ("memcache", "python-memcached"),
    ("nacl", "PyNaCl"),
    ("novaclient", "python-novaclient"),
    ("paho", "paho-mqtt"),
    ("pkg_resources", "setuptools"),
    ("psycopg2", "psycopg2-binary"),
    ("pyVim", "pyvmomi"),
    ("pyVmomi", "pyvmomi"),
    ("pymysql", "PyMySQL"),
    ("pythonjsonlogger", "python-json-logger"),
    ("rapidjson", "python-rapidjson"),
    ("serial", "pyserial"),
    ("skimage", "scikit-image"),
    ("sklearn", "scikit-learn"),
    ("slack", "slackclient"),
    ("slack_sdk", "slack-sdk"),
    ("slackclient", "slackclient<2"),
    ("slugify", "python-slugify"),
    ("snappy", "python-snappy"),
    ("socks", "PySocks"),
    ("sqlalchemy", "SQLAlchemy"),
    ("telegram", "python-telegram-bot"),
    ("twitter", "python-twitter"),
    ("usb", "pyusb"),
    ("websocket", "websocket-client"),
    ("winrm", "pywinrm"),
    ("wx", "wxPython"),
    ("yaml", "PyYAML"),
    ("zmq", "pyzmq"),
];

/// Modules that Python dropped, and what stands for them: a package, or a word of what to do.
const DROPPED: &[(&str, Stead)] = &[
    ("asynchat", Stead::Package("pyasynchat")),
    ("asyncore", Stead::Package("pyasyncore")),
    ("cgi", Stead::Package("legacy-cgi")),
    ("crypt", Stead::Package("legacycrypt")),
    ("distutils", Stead::Package("setuptools")),
    ("imp", Stead::Code("importlib")),
    ("pipes", Stead::Code("shlex and subprocess")),
    ("smtpd", Stead::Package("aiosmtpd")),
    ("telnetlib", Stead::Package("standard-telnetlib")),
    ("ConfigParser", Stead::Two("configparser")),
    ("HTMLParser", Stead::Two("html.parser")),
    ("Queue", Stead::Two("queue")),
    ("SocketServer", Stead::Two("socketserver")),
    ("StringIO", Stead::Two("io")),
    ("__builtin__", Stead::Two("builtins")),
    ("cPickle", Stead::Two("pickle")),
    ("cStringIO", Stead::Two("io")),
    ("commands", Stead::Two("subprocess")),
    ("cookielib", Stead::Two("http.cookiejar")),
    ("httplib", Stead::Two("http.client")),
    ("urllib2", Stead::Two("urllib.request")),
    ("urlparse", Stead::Two("urllib.parse")),
    ("xmlrpclib", Stead::Two("xmlrpc.client")),
];

/// What stands for a module that Python dropped.
#[derive(Clone, Copy, Debug)]
enum Stead {
    Package(&'static str),
    Code(&'static str),
    /// It was Python 2's; the same is here.
    Two(&'static str),
}

/// The package on PyPI that brings a module.
pub fn package(module: &str) -> &str {
    let mut name = module;
    loop {
        if let Some((_, package)) = PACKAGES.iter().find(|(known, _)| *known == name) {
            return package;
        }
        match name.rsplit_once('.') {
            Some((above, _)) => name = above,
            None => return name,
        }
    }
}

/// What to do about a missing Python module of a pack, whose folder is given.
pub fn hint(module: &str, pack: &str, folder: &str) -> String {
    let top = module.split('.').next().unwrap_or(module);
    let add = |package: &str| {
        format!("add {package} to {folder}/requirements.txt, then `petrel pack setup {pack}`")
    };
    if top.starts_with("st2") {
        return format!("{module} is a part of StackStorm that petrel does not have");
    }
    match DROPPED.iter().find(|(known, _)| *known == top) {
        Some((_, Stead::Package(package))) => {
            format!("newer Pythons have no {top}: {}", add(package))
        }
        Some((_, Stead::Code(other))) => format!("newer Pythons have no {top}: use {other}"),
        Some((_, Stead::Two(other))) => {
            format!("{top} is of Python 2; in Python 3 it is {other}: the code must be changed")
        }
        None => add(package(module)),
    }
}
