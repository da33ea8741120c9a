//! How many connections are open: in all, and of one client.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use rustix::process::{getrlimit, setrlimit, Resource, Rlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::limits::{CONNECTIONS, OTHER_FILES};

/// Raises this process's limit on open files to what the server may need, as far as the system lets it, and gives the number
/// of connections for which that is enough.
pub fn raise_file_limit() -> usize {
    let limits = getrlimit(Resource::Nofile);
    let wanted = (CONNECTIONS + OTHER_FILES) as u64;
    let Some(current) = limits.current.filter(|current| *current < wanted) else { return CONNECTIONS };
    let raised = limits.maximum.map_or(wanted, |maximum| wanted.min(maximum));
    let limit = Rlimit { current: Some(raised), maximum: limits.maximum };
    let files = setrlimit(Resource::Nofile, limit).map_or(current, |()| raised);
    connections_for(usize::try_from(files).unwrap_or(usize::MAX))
}

/// Where files are few a part of them is kept for the store and the rest of the process.
fn connections_for(files: usize) -> usize {
    files.saturating_sub(OTHER_FILES.min(files / 4)).clamp(1, CONNECTIONS)
}

/// The places for connections.
pub struct Connections {
    places: Arc<Semaphore>,
    /// Of one client; 0 is no bound.
    most: usize,
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Connections {
    pub fn new(places: usize, most: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), most, clients: Arc::default() }
    }

    /// Waits for a place.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.places.clone().acquire_owned().await.ok()
    }

    /// Counts a connection of a client while the guard lives. None if it has too many.
    pub fn admit(&self, address: IpAddr) -> Option<ClientGuard> {
        let client = client_of(address).filter(|_| self.most > 0);
        if let Some(client) = client {
            let mut clients = self.clients.lock();
            let open = clients.entry(client).or_default();
            if *open >= self.most {
                return None;
            }
            *open += 1;
        }
        Some(ClientGuard { client, clients: self.clients.clone() })
    }
}

/// Who an address stands for; None for loopback, where all clients of a proxy on this machine come from.
fn client_of(address: IpAddr) -> Option<IpAddr> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(address.into()),
        // Every customer of a provider has a /64 network at least.
        IpAddr::V6(address) => Some(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into()),
    }
}

/// A counted connection.
pub struct ClientGuard {
    client: Option<IpAddr>,
    clients: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        let Some(client) = self.client else { return };
        let mut clients = self.clients.lock();
        if let Some(open) = clients.get_mut(&client) {
            *open -= 1;
            if *open == 0 {
                clients.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(connections: &Connections, address: &str) -> Option<ClientGuard> {
        connections.admit(address.parse().unwrap())
    }

    #[test]
    fn a_client_has_so_many_connections_and_no_more() {
        let connections = Connections::new(100, 2);
        for (own, same, other) in
            [("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::ffff:0:0:1", "2001:db8:0:1::1")]
        {
            let first = admit(&connections, own).unwrap();
            let second = admit(&connections, same).unwrap();
            assert!(admit(&connections, own).is_none());
            assert!(admit(&connections, other).is_some());
            drop(first);
            assert!(admit(&connections, own).is_some());
            drop(second);
        }
        assert!(connections.clients.lock().is_empty());
    }

    #[test]
    fn loopback_and_unbounded_clients_are_not_counted() {
        let connections = Connections::new(100, 1);
        let guards = ["127.0.0.1", "127.0.0.1", "::1", "::1", "::ffff:127.0.0.1"].map(|one| admit(&connections, one));
        assert!(guards.iter().all(Option::is_some));
        let connections = Connections::new(100, 0);
        assert!(["192.0.2.1"; 3].map(|one| admit(&connections, one)).iter().all(Option::is_some));
    }

    #[test]
    fn connections_leave_files_for_the_rest_of_the_process() {
        for (files, connections) in [(0, 1), (1024, 768), (4096, 3072), (1 << 20, CONNECTIONS)] {
            assert_eq!(connections_for(files), connections);
        }
        assert!(raise_file_limit() <= CONNECTIONS);
        let soft = getrlimit(Resource::Nofile).current;
        assert!(soft.is_none_or(|soft| soft as usize >= raise_file_limit()));
    }
}
