// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    Anchor,
    ClaimHeader,
    ClaimedChain,
    SessionConfig,
    SessionStatus,
    Settlement,
    Terms
} from "../../src/interfaces/Types.sol";
import {MerkleTree} from "../../src/libraries/MerkleTree.sol";
import {SessionHash} from "../../src/libraries/SessionHash.sol";
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
        bool isRange; // one leaf, of blocks `first` to `first + STEP` of its session's chain
        bool isCheckpoint; // a range without result
        uint64 first;
    }

    /// @dev Blocks of a range.
    uint64 private constant STEP = 2;
    uint64 private constant RANGES = 3;

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
    uint256 public redelivered;
    uint256 public redeliveredOfClaims;
    uint256 public confirmed;
    uint256 public settledFromCheckpoints;
    uint256 public reentered;
    mapping(uint64 sessionId => mapping(uint64 number => bool)) private _confirmed;

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

    /// @dev A game that reenters calls one of what anybody may call: with only a callback's gas it can't decide another session, with a retry's it can.
    function misbehave(uint256 which, uint256 mode, uint256 target) external {
        HostileGame.Mode chosen = HostileGame.Mode(mode % 6);
        bytes memory reentry;
        if (chosen == HostileGame.Mode.Reenter && _configs.length != 0) {
            SessionConfig memory config = _configs[target % _configs.length];
            uint256 kind = (target >> 64) % 4;
            if (kind == 0) reentry = abi.encodeCall(relayer.abort, (config, defaultTerms()));
            if (kind == 1) reentry = abi.encodeCall(relayer.retryCallback, (config, "agreed"));
            if (kind == 2) {
                reentry = abi.encodeCall(
                    relayer.forceTransaction, (config, defaultTerms(), twoPlayers(), address(1), 21_000, "")
                );
            }
            if (kind == 3 && _claims.length != 0) reentry = _settleAll(target % _claims.length);
        }
        games[which % 2].setMode(chosen, reentry);
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

    /// @dev A checkpoint, a result, or both in turn: the hashes of a session's blocks are always the same, so that ranges fit together.
    function claimRange(uint256 who, uint256 which, uint256 kind) external {
        if (_configs.length == 0) return;
        (SessionConfig memory config, uint64 first) = _rangeToClaim(which, kind);
        bool ended = (kind >> 16) % 3 == 0;
        Claim memory entry;
        (entry.isRange, entry.isCheckpoint, entry.first) = (true, !ended, first);
        Settlement memory item = itemFor(config, ended ? abi.encode(_claims.length, "range") : bytes(""));
        item.firstNumber = entry.first;
        item.inboxCount = relayer.inboxCount(config.sessionId);
        item.chainHash = SessionHash.chain(_chainOf(config.sessionId, entry.first));
        entry.leaves = new bytes32[](1);
        entry.leaves[0] = leafFor(config, item, ended ? keccak256(item.result) : bytes32(0));
        entry.header = headerFor(entry.leaves[0], 1, defaultTerms());
        entry.claimant = actor(who);
        vm.prank(entry.claimant);
        (bool success,) = address(relayer).call{value: BOND}(
            abi.encodeCall(relayer.claim, (entry.leaves[0], 1, defaultTerms(), 0, "data", ""))
        );
        if (!success) return;
        deposited += BOND;
        _items[_claims.length][0] = item;
        _claims.push(entry);
    }

    /// @dev Any range of any session, or (half the time) one that goes on from a checkpoint.
    function _rangeToClaim(uint256 which, uint256 kind) private view returns (SessionConfig memory, uint64 first) {
        for (uint256 i; kind % 2 == 0 && i < _configs.length; ++i) {
            uint256 session = (which % _configs.length + i) % _configs.length;
            uint64 sessionId = _configs[session].sessionId;
            if (_confirmed[sessionId][STEP] && status(sessionId) == SessionStatus.Open) return (_configs[session], STEP);
        }
        return (_configs[which % _configs.length], uint64((kind >> 8) % RANGES) * STEP);
    }

    function _blockHash(uint64 sessionId, uint64 number) private pure returns (bytes32) {
        return keccak256(abi.encode("block", sessionId, number));
    }

    function _hashLeaves(uint64 sessionId, uint64 first) private pure returns (bytes32[] memory leaves) {
        leaves = new bytes32[](STEP + 1);
        for (uint64 i; i <= STEP; ++i) leaves[i] = SessionHash.blockHashLeaf(_blockHash(sessionId, first + i));
    }

    function _chainOf(uint64 sessionId, uint64 first) private pure returns (ClaimedChain memory) {
        return ClaimedChain({
            seed: keccak256("seed"),
            lastNumber: first + STEP,
            lastHash: _blockHash(sessionId, first + STEP),
            blockHashesRoot: MerkleTree.rootInPlace(_hashLeaves(sessionId, first))
        });
    }

    /// @dev The blocks of a claim's leaf, and where they start.
    function _blocksOf(uint256 which, uint64 sessionId)
        private
        view
        returns (ClaimedChain memory chain, Anchor memory anchor)
    {
        Claim storage entry = _claims[which];
        if (!entry.isRange) return (chainFor(sessionId), Anchor(0, noProof()));
        chain = _chainOf(sessionId, entry.first);
        anchor = Anchor(_blockHash(sessionId, entry.first), proofOf(_hashLeaves(sessionId, entry.first), 0));
    }

    function settleOne(uint256 which, uint256 index) external {
        if (_claims.length == 0) return;
        which = which % 2 == 0 ? _settleable(which) : which % _claims.length;
        Claim storage entry = _claims[which];
        index %= entry.leaves.length;
        Settlement memory item = _items[which][index];
        SessionStatus before = status(item.sessionId);
        if (entry.isRange) {
            _finishRange(which, item);
        } else {
            _try(
                abi.encodeCall(
                    relayer.settle,
                    (uint64(which + 1), entry.header, item, uint32(index), proofOf(entry.leaves, index))
                )
            );
        }
        if (before != SessionStatus.Open) assertTrue(status(item.sessionId) == before, "I1: decided once");
        _noteDecisions();
    }

    /// @dev A claim whose first leaf has something left to do, where there is one: most claims are of sessions that are decided.
    function _settleable(uint256 which) private view returns (uint256 claim) {
        for (uint256 i; i < _claims.length; ++i) {
            claim = (which % _claims.length + i) % _claims.length;
            Claim storage entry = _claims[claim];
            uint64 sessionId = _items[claim][0].sessionId;
            bool anchored = entry.first == 0 || _confirmed[sessionId][entry.first];
            bool done = entry.isCheckpoint && _confirmed[sessionId][entry.first + STEP];
            if (_lastStatus[sessionId] == SessionStatus.Open && _windowOver(claim) && anchored && !done) return claim;
        }
    }

    function _finishRange(uint256 which, Settlement memory item) private {
        Claim storage entry = _claims[which];
        (ClaimedChain memory chain, Anchor memory anchor) = _blocksOf(which, item.sessionId);
        bool anchored = entry.first == 0 || _confirmed[item.sessionId][entry.first];
        uint64 id = uint64(which + 1);
        bool success = _try(
            entry.isCheckpoint
                ? abi.encodeCall(relayer.confirmCheckpoint, (id, entry.header, item, 0, noProof(), chain, anchor))
                : abi.encodeCall(relayer.settleFromCheckpoint, (id, entry.header, item, 0, noProof(), chain, anchor))
        );
        if (!success) return;
        assertTrue(anchored, "I1: from a confirmed checkpoint only");
        assertTrue(_isLive(which, 0) && _windowOver(which), "I1: reviewed");
        if (entry.isCheckpoint) {
            _confirmed[item.sessionId][chain.lastNumber] = true;
            ++confirmed;
        } else if (entry.first != 0) {
            ++settledFromCheckpoints;
        }
    }

    function settleEvery(uint256 which) external {
        if (_claims.length == 0) return;
        _try(_settleAll(which % _claims.length));
        _noteDecisions();
    }

    function _settleAll(uint256 which) private view returns (bytes memory) {
        Claim storage entry = _claims[which];
        Settlement[] memory items = new Settlement[](entry.leaves.length);
        for (uint256 i; i < items.length; ++i) items[i] = _items[which][i];
        return abi.encodeCall(relayer.settleAll, (uint64(which + 1), entry.header, items, 0));
    }

    /// @dev Which sessions left Open just now, by whatever call, also one from within a callback; and whether they were allowed to.
    function _noteDecisions() private {
        for (uint256 i; i < _configs.length; ++i) {
            uint64 sessionId = _configs[i].sessionId;
            SessionStatus now_ = status(sessionId);
            if (_lastStatus[sessionId] != SessionStatus.Open || now_ == SessionStatus.Open) continue;
            _lastStatus[sessionId] = now_;
            if (now_ == SessionStatus.Aborted) {
                _checkAborted(_configs[i]);
            } else {
                assertTrue(_hasSettleableLeaf(sessionId), "I1: no settlement within the window or against a dispute");
                ++settled;
                ++settledByClaim;
            }
        }
        reentered += _reentries();
    }

    function _reentries() private returns (uint256 count) {
        for (uint256 i; i < games.length; ++i) {
            if (games[i].takeReentry()) ++count;
        }
    }

    function _hasSettleableLeaf(uint64 sessionId) private view returns (bool) {
        for (uint256 i; i < _claims.length; ++i) {
            if (_claims[i].isCheckpoint || !_windowOver(i)) continue;
            for (uint256 j; j < _claims[i].leaves.length; ++j) {
                if (_items[i][j].sessionId == sessionId && _isLive(i, j)) return true;
            }
        }
        return false;
    }

    function _windowOver(uint256 which) private view returns (bool) {
        ClaimHeader storage header = _claims[which].header;
        return vm.getBlockTimestamp() > uint256(header.claimedAt) + header.challengeWindow;
    }

    function _isLive(uint256 which, uint256 index) private view returns (bool) {
        Leaf storage state = _states[which][index];
        return state.disputes == 0 && !state.killed;
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
        if (success) {
            _lastStatus[config.sessionId] = SessionStatus.Settled;
            ++settled;
        }
        _noteDecisions();
    }

    function abortOne(uint256 which) external {
        if (_configs.length == 0) return;
        _abort(_configs[which % _configs.length]);
    }

    function _abort(SessionConfig memory config) private returns (bool success) {
        success = _try(abi.encodeCall(relayer.abort, (config, defaultTerms())));
        if (success) assertTrue(_lastStatus[config.sessionId] == SessionStatus.Open, "I1, I3: once, while open");
        _noteDecisions();
    }

    function _checkAborted(SessionConfig memory config) private {
        uint256 from = uint256(config.deadline) + defaultTerms().abortDelay;
        assertTrue(vm.getBlockTimestamp() >= from, "not before its time");
        if (vm.getBlockTimestamp() < from + 30 days) {
            assertTrue(!_inDispute(config.sessionId), "I1: not while a result is in dispute");
            uint256 releasedAt = _releasedAt[config.sessionId];
            assertTrue(releasedAt == 0 || vm.getBlockTimestamp() >= releasedAt + 1 hours, "I1: time to settle");
        }
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

    function retryOne(uint256 which) public {
        if (_configs.length == 0) return;
        // The next session whose game refused its outcome, where there is one.
        SessionConfig memory config = _configs[which % _configs.length];
        bool wasFailed = relayer.callbackFailed(config.sessionId);
        for (uint256 i = 1; i < _configs.length && !wasFailed; ++i) {
            config = _configs[(which % _configs.length + i) % _configs.length];
            wasFailed = relayer.callbackFailed(config.sessionId);
        }
        HostileGame game = HostileGame(config.game);
        // The players' result, or that of one of the claims: ZkRelayer tells which.
        bool delivered = _retry(config, "agreed");
        bool ofClaim;
        for (uint256 i; i < _claims.length && !delivered; ++i) {
            for (uint256 j; j < _claims[i].leaves.length && !delivered; ++j) {
                if (_items[i][j].sessionId != config.sessionId) continue;
                delivered = ofClaim = _retry(config, _items[i][j].result);
                if (delivered) {
                    assertEq(keccak256(game.lastResult()), keccak256(_items[i][j].result), "I1: the settled result");
                }
            }
        }
        assertTrue(!delivered || wasFailed, "I1: delivered once");
        if (game.mode() == HostileGame.Mode.Honest) assertTrue(delivered == wasFailed, "I3: the outcome arrives");
        if (delivered) ++redelivered;
        if (ofClaim) ++redeliveredOfClaims;
        _noteDecisions();
    }

    function _retry(SessionConfig memory config, bytes memory result) private returns (bool) {
        return _try(abi.encodeCall(relayer.retryCallback, (config, result)));
    }

    /// @dev With the gas of a small transaction, as a game may burn all that there is.
    function _try(bytes memory call) private returns (bool success) {
        (success,) = address(relayer).call{gas: 2_000_000}(call);
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

    function bindOne(uint256 which) external {
        if (_claims.length == 0) return;
        uint256 index;
        (which, index) = _inDisputeFrom(which);
        Claim storage entry = _claims[which];
        Settlement memory item = _items[which][index];
        (ClaimedChain memory chain, Anchor memory anchor) = _blocksOf(which, item.sessionId);
        (bool success,) = address(relayer).call(
            abi.encodeCall(
                relayer.bindLeaf,
                (
                    uint64(which + 1),
                    entry.header,
                    item,
                    entry.isCheckpoint ? bytes32(0) : keccak256(item.result),
                    uint32(index),
                    proofOf(entry.leaves, index),
                    chain,
                    anchor
                )
            )
        );
        if (!success) return;
        Leaf storage state = _states[which][index];
        assertTrue(state.disputes != 0, "bound in dispute");
        assertTrue(entry.first == 0 || _confirmed[item.sessionId][entry.first], "I3: no unanchored leaf is bound");
        state.bound = true;
        ++boundLeaves;
    }

    /// @dev The next leaf in dispute of a session that is open, where there is one.
    function _inDisputeFrom(uint256 which) private view returns (uint256 claim, uint256 index) {
        for (uint256 i; i < _claims.length; ++i) {
            claim = (which % _claims.length + i) % _claims.length;
            for (index = 0; index < _claims[claim].leaves.length; ++index) {
                bool open = _lastStatus[_items[claim][index].sessionId] == SessionStatus.Open;
                if (open && _states[claim][index].disputes != 0) return (claim, index);
            }
        }
        return (claim, 0);
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
            for (uint64 number = STEP; number <= RANGES * STEP; number += STEP) {
                bool known = relayer.checkpointConfirmed(sessionId, number, _blockHash(sessionId, number));
                assertTrue(known == _confirmed[sessionId][number], "I1: checkpoints are what was reviewed");
            }
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
        for (uint256 i; i < games.length; ++i) games[i].setMode(HostileGame.Mode.Honest, "");
        for (uint256 i; i < _configs.length; ++i) {
            retryOne(i);
            assertTrue(!relayer.callbackFailed(_configs[i].sessionId), "I3: every outcome arrives");
        }
        for (uint256 i; i < actors.length; ++i) {
            uint256 amount = available(actors[i]);
            vm.prank(actors[i]);
            relayer.withdraw(amount, actors[i]);
        }
        assertEq(address(relayer).balance, available(address(0)), "I3: only what is burnt stays");
    }
}
