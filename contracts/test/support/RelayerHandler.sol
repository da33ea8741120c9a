// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    Anchor,
    ClaimHeader,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "../../src/interfaces/Types.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {HostileGame} from "./Games.sol";
import {RelayerFixture} from "./RelayerFixture.sol";
import {TestDisputeGame} from "./TestDisputeGame.sol";

/// @dev Several actors doing anything at any time. Calls that ZkRelayer refuses are part of it; what it accepts is noted here.
contract RelayerHandler is RelayerFixture {
    struct Leaf {
        uint256 disputes;
        bool killed;
        bool bound;
    }

    struct Claim {
        ClaimHeader header;
        address claimant;
        bytes32[] leaves;
        uint256 killed;
        bool released;
    }

    address[] public actors;
    HostileGame[2] public games;
    TestDisputeGame public court;

    SessionConfig[] private _configs;
    mapping(uint64 sessionId => SessionStatus) private _lastStatus;
    Claim[] private _claims;
    mapping(uint256 claim => mapping(uint256 index => Settlement)) private _items;
    mapping(uint256 claim => mapping(uint256 index => Leaf)) private _states;
    /// @dev When a leaf bound to the session last came out of its disputes.
    mapping(uint64 sessionId => uint256) private _releasedAt;

    uint256 public deposited;
    uint256 public withdrawn;
    uint256 public settled;
    uint256 public aborted;
    uint256 public settledByClaim;
    uint256 public killedLeaves;
    uint256 public releasedLeaves;
    uint256 public boundLeaves;

    constructor() {
        setUpRelayer();
        court = TestDisputeGame(disputes);
        games[0] = new HostileGame(relayer);
        games[1] = new HostileGame(relayer);
        for (uint160 i = 1; i <= 3; ++i) {
            actors.push(address(0xac70000 + i));
            vm.deal(actors[i - 1], 100 ether);
        }
    }

    function actor(uint256 seed) private view returns (address) {
        return actors[seed % actors.length];
    }

    // ---- what actors do

    function passTime(uint256 seconds_) external {
        vm.warp(vm.getBlockTimestamp() + bound(seconds_, 0, seconds_ % 5 == 0 ? 20 hours : 10 minutes));
    }

    function depositSome(uint256 who, uint256 amount) external {
        address from = actor(who);
        amount = bound(amount, 0, from.balance / 10);
        vm.prank(from);
        relayer.deposit{value: amount}();
        deposited += amount;
    }

    function withdrawSome(uint256 who, uint256 amount) external {
        address from = actor(who);
        uint256 before = available(from);
        amount = bound(amount, 0, before + 1);
        vm.prank(from);
        (bool success,) = address(relayer).call(abi.encodeCall(relayer.withdraw, (amount, from)));
        assertTrue(success == (amount <= before), "I3: what is available, and no more");
        if (success) withdrawn += amount;
    }

    function openOne(uint256 which) external {
        SessionConfig memory config = openFrom(address(games[which % 2]), defaultTerms(), twoPlayers());
        _configs.push(config);
        _lastStatus[config.sessionId] = SessionStatus.Open;
    }

    function misbehave(uint256 which, uint256 mode) external {
        games[which % 2].setMode(HostileGame.Mode(mode % 4), "");
    }

    function forceOne(uint256 which, uint256 who) external {
        if (_configs.length == 0) return;
        SessionConfig memory config = _configs[which % _configs.length];
        address player = who % 2 == 0 ? alice : bob;
        vm.prank(player, player);
        (bool success,) = address(relayer).call(
            abi.encodeCall(relayer.forceTransaction, (config, defaultTerms(), twoPlayers(), address(1), 21_000, ""))
        );
        assertTrue(
            success
                == (status(config.sessionId) == SessionStatus.Open && vm.getBlockTimestamp() < config.deadline),
            "I4: forced while open"
        );
    }

    function claimSome(uint256 who, uint256 which, uint256 count) external {
        if (_configs.length == 0) return;
        count = bound(count, 1, 3);
        Terms memory terms = defaultTerms();
        uint256 id = _claims.length;
        Claim storage entry = _claims.push();
        for (uint256 i; i < count; ++i) {
            SessionConfig memory config = _configs[(which >> (i * 8)) % _configs.length];
            Settlement memory item = itemFor(config, abi.encode(id, i));
            // All messages, or a session that ended at its opening and needs none.
            if (which & 1 == 0) item.inboxCount = relayer.inboxCount(config.sessionId);
            else item.lastTimestamp = config.openedAt;
            _items[id][i] = item;
            entry.leaves.push(leafFor(config, item));
        }
        address claimant = actor(who);
        uint256 bond = BOND * count;
        ClaimHeader memory header = headerFor(MerkleTree.rootInPlace(entry.leaves), uint32(count), terms);
        vm.prank(claimant);
        (bool success,) = address(relayer).call{value: bond / 2}(
            abi.encodeCall(relayer.claim, (header.root, uint32(count), terms, 0, "data", ""))
        );
        if (!success) {
            _claims.pop();
            return;
        }
        deposited += bond / 2;
        entry.header = header;
        entry.claimant = claimant;
        assertEq(relayer.lastClaimId(), id + 1, "claims are numbered");
    }

    function settleOne(uint256 which, uint256 index) external {
        if (_claims.length == 0) return;
        which %= _claims.length;
        Claim storage entry = _claims[which];
        index %= entry.leaves.length;
        SessionStatus before = status(_items[which][index].sessionId);
        (bool success,) = address(relayer).call(
            abi.encodeCall(
                relayer.settle,
                (uint64(which + 1), entry.header, _items[which][index], uint32(index), proofOf(entry.leaves, index))
            )
        );
        if (success) assertTrue(before == SessionStatus.Open, "I1: settled once");
        _noteSettlements(which);
    }

    function settleEvery(uint256 which) external {
        if (_claims.length == 0) return;
        which %= _claims.length;
        Claim storage entry = _claims[which];
        Settlement[] memory items = new Settlement[](entry.leaves.length);
        for (uint256 i; i < items.length; ++i) items[i] = _items[which][i];
        _try(abi.encodeCall(relayer.settleAll, (uint64(which + 1), entry.header, items, 0)));
        _noteSettlements(which);
    }

    /// @dev Which of the claim's sessions left Open just now, and whether they were allowed to.
    function _noteSettlements(uint256 which) private {
        Claim storage entry = _claims[which];
        for (uint256 i; i < entry.leaves.length; ++i) {
            uint64 sessionId = _items[which][i].sessionId;
            SessionStatus now_ = status(sessionId);
            if (_lastStatus[sessionId] != SessionStatus.Open || now_ == SessionStatus.Open) continue;
            assertTrue(now_ == SessionStatus.Settled, "I1: settled");
            assertTrue(_hasLiveLeaf(which, sessionId), "I1: no settlement against a dispute");
            assertTrue(
                vm.getBlockTimestamp() > uint256(entry.header.claimedAt) + entry.header.challengeWindow,
                "I1: no settlement within the window"
            );
            _lastStatus[sessionId] = now_;
            ++settled;
            ++settledByClaim;
        }
    }

    /// @dev A claim may name a session twice; each leaf is disputed by itself.
    function _hasLiveLeaf(uint256 which, uint64 sessionId) private view returns (bool) {
        for (uint256 i; i < _claims[which].leaves.length; ++i) {
            if (_items[which][i].sessionId != sessionId) continue;
            Leaf storage state = _states[which][i];
            if (state.disputes == 0 && !state.killed) return true;
        }
        return false;
    }

    function settleTogether(uint256 which) external {
        if (_configs.length == 0 || which % 4 != 0) return;
        SessionConfig memory config = _configs[which % _configs.length];
        bytes32 hash = relayer.configHash(config);
        bytes[] memory both = new bytes[](2);
        uint64 until = uint64(vm.getBlockTimestamp());
        both[0] = signResult(ALICE_KEY, hash, "agreed", until);
        both[1] = signResult(BOB_KEY, hash, "agreed", until);
        (bool success,) = address(relayer).call(
            abi.encodeCall(relayer.settleUnanimously, (config, defaultTerms(), twoPlayers(), "agreed", until, both))
        );
        assertTrue(success == (_lastStatus[config.sessionId] == SessionStatus.Open), "I1: once, while open");
        if (!success) return;
        _lastStatus[config.sessionId] = SessionStatus.Settled;
        ++settled;
    }

    function abortOne(uint256 which) external {
        if (_configs.length == 0) return;
        _abort(_configs[which % _configs.length]);
    }

    function _abort(SessionConfig memory config) private returns (bool success) {
        Terms memory terms = defaultTerms();
        (success,) = address(relayer).call(abi.encodeCall(relayer.abort, (config, terms)));
        if (!success) return false;
        assertTrue(_lastStatus[config.sessionId] == SessionStatus.Open, "I1, I3: once, while open");
        uint256 from = uint256(config.deadline) + terms.abortDelay;
        assertTrue(vm.getBlockTimestamp() >= from, "not before its time");
        if (vm.getBlockTimestamp() < from + 30 days) {
            assertTrue(!_inDispute(config.sessionId), "I1: not while a result is in dispute");
            uint256 releasedAt = _releasedAt[config.sessionId];
            assertTrue(releasedAt == 0 || vm.getBlockTimestamp() >= releasedAt + 1 hours, "I1: time to settle");
        }
        _lastStatus[config.sessionId] = SessionStatus.Aborted;
        ++aborted;
    }

    function _inDispute(uint64 sessionId) private view returns (bool) {
        for (uint256 i; i < _claims.length; ++i) {
            for (uint256 j; j < _claims[i].leaves.length; ++j) {
                Leaf storage state = _states[i][j];
                if (_items[i][j].sessionId == sessionId && state.bound && state.disputes != 0) return true;
            }
        }
        return false;
    }

    function retryOne(uint256 which) external {
        if (_configs.length == 0) return;
        SessionConfig memory config = _configs[which % _configs.length];
        _try(abi.encodeCall(relayer.retryCallback, (config, "agreed")));
    }

    /// @dev With the gas of a small transaction, as a game may burn all that there is.
    function _try(bytes memory call) private {
        (bool success,) = address(relayer).call{gas: 2_000_000}(call);
        success;
    }

    function challengeOne(uint256 who, uint256 which, uint256 index) external {
        if (_claims.length == 0) return;
        which %= _claims.length;
        Claim storage entry = _claims[which];
        index %= entry.leaves.length;
        Leaf storage state = _states[which][index];
        bytes memory call = abi.encodeCall(court.challenge, (uint64(which + 1), entry.header, uint32(index)));
        vm.prank(actor(who));
        (bool success,) = address(court).call(call);
        bool inWindow = vm.getBlockTimestamp() <= uint256(entry.header.claimedAt) + entry.header.challengeWindow;
        assertTrue(success == (inWindow && !state.killed), "I1: nobody is kept from a dispute");
        if (success) ++state.disputes;
    }

    function bindOne(uint256 which, uint256 index) external {
        if (_claims.length == 0) return;
        which %= _claims.length;
        Claim storage entry = _claims[which];
        index %= entry.leaves.length;
        Settlement memory item = _items[which][index];
        (bool success,) = address(relayer).call(
            abi.encodeCall(
                relayer.bindLeaf,
                (
                    uint64(which + 1),
                    entry.header,
                    item,
                    keccak256(item.result),
                    uint32(index),
                    proofOf(entry.leaves, index),
                    chainFor(item.sessionId),
                    Anchor(0, noProof())
                )
            )
        );
        if (!success) return;
        Leaf storage state = _states[which][index];
        assertTrue(state.disputes != 0, "bound in dispute");
        state.bound = true;
        ++boundLeaves;
    }

    function expireOne(uint256 which, uint256 index) external {
        if (_claims.length == 0) return;
        which %= _claims.length;
        _expire(which, index % _claims[which].leaves.length);
    }

    function _expire(uint256 which, uint256 index) private {
        // The first of its disputes: a claim that answers none in time loses by any.
        (bool success,) = address(court).call(
            abi.encodeCall(court.expire, (uint64(which + 1), _claims[which].header, uint32(index), 0))
        );
        if (!success) return;
        Leaf storage state = _states[which][index];
        assertTrue(state.disputes != 0 && !state.killed, "killed once");
        (state.disputes, state.killed) = (0, true);
        ++_claims[which].killed;
        ++killedLeaves;
    }

    /// @dev The dispute contract gives the claim right (what a proof does, without one).
    function defendOne(uint256 which, uint256 index) external {
        if (_claims.length == 0) return;
        which %= _claims.length;
        Claim storage entry = _claims[which];
        index %= entry.leaves.length;
        vm.prank(address(court));
        (bool success,) = address(relayer).call(
            abi.encodeCall(relayer.releaseLeaf, (uint64(which + 1), entry.header, uint32(index)))
        );
        if (!success) return;
        Leaf storage state = _states[which][index];
        assertTrue(state.disputes != 0, "released once");
        if (--state.disputes != 0) return;
        ++releasedLeaves;
        if (state.bound) _releasedAt[_items[which][index].sessionId] = vm.getBlockTimestamp();
    }

    function releaseOne(uint256 which) external {
        if (_claims.length == 0) return;
        _release(which % _claims.length);
    }

    function _release(uint256 which) private returns (bool success) {
        Claim storage entry = _claims[which];
        (success,) =
            address(relayer).call(abi.encodeCall(relayer.releaseBond, (uint64(which + 1), entry.header)));
        if (!success) return false;
        assertTrue(!entry.released, "I3: released once");
        entry.released = true;
    }

    // ---- what must hold

    /// @dev INVARIANT I3
    function checkFunds() external view {
        uint256 accounts;
        for (uint256 i; i < actors.length; ++i) {
            accounts += available(actors[i]) + locked(actors[i]);
            assertEq(locked(actors[i]), _bondsOf(actors[i]), "I3: locked is what claims hold");
        }
        uint256 burnt = available(address(0));
        assertEq(address(relayer).balance, accounts + burnt, "I3: the balance is the sum of accounts");
        assertEq(address(relayer).balance, deposited - withdrawn, "I3: what went in and didn't come out");
        assertEq(burnt, killedLeaves * (BOND - BOND / 2), "I3: burnt by rule only");
        assertEq(locked(address(0)), 0, "I3: nobody's bond");
    }

    function _bondsOf(address claimant) private view returns (uint256 sum) {
        for (uint256 i; i < _claims.length; ++i) {
            Claim storage entry = _claims[i];
            if (entry.claimant == claimant && !entry.released) sum += BOND * (entry.leaves.length - entry.killed);
        }
    }

    /// @dev INVARIANT I1, I3
    function checkSessions() external view {
        uint256 callbacks = games[0].callbacks() + games[1].callbacks();
        uint256 failed;
        for (uint256 i; i < _configs.length; ++i) {
            uint64 sessionId = _configs[i].sessionId;
            assertTrue(status(sessionId) == _lastStatus[sessionId], "I1: a status changes by its own calls only");
            if (relayer.callbackFailed(sessionId)) ++failed;
        }
        assertEq(callbacks + failed, settled + aborted, "each decided session's game is told once, or can be");
    }

    /// @dev INVARIANT I3: from wherever the run ended, everybody gets his money without anybody's help.
    function checkNothingStuck() external {
        vm.warp(vm.getBlockTimestamp() + 100 days);
        for (uint256 i; i < _claims.length; ++i) {
            for (uint256 j; j < _claims[i].leaves.length; ++j) {
                if (_states[i][j].disputes != 0) _expire(i, j);
            }
            if (!_claims[i].released) assertTrue(_release(i), "I3: every bond comes back");
        }
        for (uint256 i; i < _configs.length; ++i) {
            if (_lastStatus[_configs[i].sessionId] == SessionStatus.Open) {
                assertTrue(_abort(_configs[i]), "I3: every session can be aborted");
            }
        }
        for (uint256 i; i < actors.length; ++i) {
            uint256 amount = available(actors[i]);
            vm.prank(actors[i]);
            relayer.withdraw(amount, actors[i]);
        }
        assertEq(address(relayer).balance, available(address(0)), "I3: only what is burnt stays");
    }
}
