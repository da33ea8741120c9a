// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

import {
    Answered,
    DisputeStatus,
    Evidence,
    Kind,
    LeafName,
    Preconfirmation,
    ShownHash
} from "../../src/interfaces/DisputeTypes.sol";
import {IBondAccounts} from "../../src/interfaces/IBondAccounts.sol";
import {ClaimHeader, SessionClaim, SessionConfig, SessionStatus, Settlement} from "../../src/interfaces/Types.sol";
import {Verdict} from "../../src/libraries/Statement.sol";
import {DisputeFixture} from "./DisputeFixture.sol";

/// @dev Several actors dispute claims of every kind, true and false. Liars and attackers do anything at any time; the honest do what they must at the last
/// moment there is. Proofs are made of true statements only: a block's valid child is the hash of its hash.
contract DisputeHandler is DisputeFixture {
    enum Lie {
        None,
        Result, // of the true blocks
        Tail, // from some block on another chain
        Interleaved, // one chain's blocks between another's
        Genesis, // from a block 0 of its own
        LastHash, // another than the tree's
        Seed, // another than L1's
        Empty, // no transition
        Garbage // a root of nothing
    }

    struct Claim {
        LeafName name;
        SessionClaim content;
        bytes32[] hashes;
        Lie lie;
        uint256 session;
        address claimant;
    }

    struct Opened {
        uint256 claim;
        Kind kind;
        uint64 number;
    }

    uint64 private constant END = 4;
    address private constant HONEST = address(0x40435);

    address[] public actors;
    SessionConfig[] private _configs;
    Claim[] private _claims;
    Opened[] private _opened;
    bytes32 private immutable TRUTH = keccak256("result");
    bytes32 private immutable LIE = keccak256("lie");

    uint256 public settled;
    uint256 public aborted;
    uint256 public unproven;
    uint256 public provenWrong;
    uint256 public answeredByData;
    uint256 public answeredByProof;
    uint256 public released;
    uint256 public reclaimed;
    uint256 public refusedLies;

    constructor() {
        setUpDisputes();
        for (uint160 i = 1; i <= 3; ++i) {
            actors.push(address(0xac70000 + i));
        }
        actors.push(operator);
        actors.push(HONEST);
        actors.push(PROVER);
        actors.push(address(this)); // answers for all claimants
        for (uint256 i; i < actors.length; ++i) {
            vm.deal(actors[i], 1_000_000 ether);
        }
        vm.prank(operator);
        stakes.depositStake{value: 20 * STAKE}();
        _configs.push(config);
        vm.roll(5000);
        remember(config.openedBlock + 1, keccak256(openingHeader()));
    }

    receive() external payable {}

    // ---- what is true

    function _child(bytes32 hash) private pure returns (bytes32) {
        return keccak256(abi.encode("child", hash));
    }

    /// @dev Whether a valid statement can be made of this range.
    function _descends(uint64 from, uint64 to) private view returns (bool) {
        bytes32 hash = hashes[from];
        for (uint64 i = from; i < to; ++i) {
            hash = _child(hash);
        }
        return hash == hashes[to];
    }

    /// @dev What a proof of the range's last block would say.
    function _truthOf(uint64 to) private view returns (Evidence memory value) {
        value = evidence(to);
        if (to == END) value.resultHash = _isTrueEnd() ? TRUTH : content.resultHash;
    }

    function _isTrueEnd() private view returns (bool) {
        bytes32 hash = genesisHash(trueSeed());
        for (uint64 i; i < END; ++i) {
            hash = _child(hash);
        }
        return hash == hashes[END];
    }

    /// @dev The transition from the last true block to a false one.
    function _doomed(Lie lie) private view returns (uint64 number) {
        if (lie == Lie.Interleaved) return END;
        for (number = 1; hashes[number] == _child(hashes[number - 1]); ++number) {}
    }

    function _load(uint256 which) private {
        Claim storage entry = _claims[which];
        name = entry.name;
        content = entry.content;
        hashes = entry.hashes;
        config = _configs[entry.session];
    }

    function _isDead(uint256 which) private view returns (bool killed) {
        (,, killed,,) = court.leafState(_claims[which].name.claimId, 0);
    }

    // ---- what anybody does

    function openOne() external {
        if (_configs.length == 6) return;
        vm.roll(100);
        _configs.push(openFrom(address(game), terms, twoPlayers()));
        vm.roll(5000);
    }

    function claimOne(uint256 who, uint256 which, uint256 kind) external {
        if (_claims.length == 12) return;
        which %= _configs.length;
        config = _configs[which];
        Lie lie = kind % 3 == 0 ? Lie.None : Lie(kind / 3 % 9);
        SessionClaim memory value;
        (value.configHash, value.resultHash) = (relayer.configHash(config), lie == Lie.None ? TRUTH : LIE);
        (value.lastTimestamp, value.chain.seed, value.chain.lastNumber) = (config.openedAt, trueSeed(), END);
        if (lie == Lie.Seed) value.chain.seed = keccak256("lucky");
        if (lie == Lie.Empty) value.chain.lastNumber = 0;
        if (lie == Lie.LastHash) value.resultHash = TRUTH;
        _makeHashes(value.chain.seed, lie, 1 + uint64((kind >> 32) % END));
        value.chain.lastHash = lie == Lie.LastHash ? keccak256("other") : hashes[value.chain.lastNumber];
        if (lie == Lie.Empty) while (hashes.length > 1) hashes.pop();
        address claimant = actors[who % 4];
        if (lie == Lie.Garbage) _claimGarbage(claimant);
        else claimAs(claimant, value);
        _claims.push(Claim(name, content, hashes, lie, which, claimant));
    }

    function _makeHashes(bytes32 seed, Lie lie, uint64 from) private {
        delete hashes;
        hashes.push(genesisHash(seed));
        if (lie == Lie.Genesis) hashes[0] = keccak256("of the liar's making");
        for (uint64 i = 1; i <= END; ++i) {
            hashes.push(_child(hashes[i - 1]));
        }
        bytes32 forged = keccak256(abi.encode("forged", _claims.length));
        if (lie == Lie.Tail) {
            hashes[from] = forged;
            for (uint64 i = from + 1; i <= END; ++i) {
                hashes[i] = _child(hashes[i - 1]);
            }
        }
        if (lie == Lie.Interleaved) (hashes[END - 2], hashes[END]) = (forged, _child(_child(forged)));
    }

    function _claimGarbage(address claimant) private {
        ClaimHeader memory header = headerFor(keccak256("garbage"), 1, terms);
        vm.deal(claimant, claimant.balance + BOND);
        vm.prank(claimant);
        name = LeafName(relayer.claim{value: BOND}(header.root, 1, terms, 0, hex"da7a", ""), 0, header);
    }

    /// @dev Any dispute about any claim.
    function disputeOne(uint256 who, uint256 which, uint256 kind) external {
        if (_claims.length == 0) return;
        which %= _claims.length;
        _load(which);
        Kind chosen = Kind(kind % 4);
        uint64 number = chosen == Kind.Leaf || chosen == Kind.Hashes ? 0 : 1 + uint64((kind >> 8) % END);
        _dispute(actors[who % 4], which, chosen, number);
    }

    function _dispute(address who, uint256 which, Kind kind, uint64 number) private returns (bool success) {
        bytes memory data;
        if (kind == Kind.Leaf) data = abi.encodeCall(court.demandLeaf, (name));
        if (kind == Kind.Hashes) data = abi.encodeCall(court.demandHashes, (shownLeaf(), number));
        if (kind == Kind.Block) data = abi.encodeCall(court.demandBlock, (shownLeaf(), number));
        if (kind == Kind.Challenge) {
            if (number >= hashes.length) return false;
            data = abi.encodeCall(court.challenge, (shownLeaf(), shown(number - 1), shown(number)));
        }
        uint256 bond = court.bondOf(kind);
        vm.prank(who);
        (success,) = address(court).call{value: bond}(data);
        if (success) _opened.push(Opened(which, kind, number));
    }

    /// @dev A claimant, or a friend, says what can be said of a claim: also of a false one.
    function answerOne(uint256 which, uint256 seed) external {
        if (_opened.length == 0) return;
        Opened memory dispute = _opened[which % _opened.length];
        _load(dispute.claim);
        _answer(dispute, seed);
    }

    function _answer(Opened memory dispute, uint256 seed) private returns (bool success) {
        if (dispute.kind == Kind.Leaf) success = _call(abi.encodeCall(court.answerLeaf, (shownLeaf())));
        if (dispute.kind == Kind.Hashes && seed % 2 == 0) {
            success = _call(abi.encodeCall(court.answerHashes, (shownLeaf(), 0, hashes, noProof())));
        }
        if (success) ++answeredByData;
        if (success || hashes.length == 1) return success;
        Answered memory answered;
        uint64[] memory numbers = new uint64[](1);
        numbers[0] = dispute.number;
        if (dispute.kind == Kind.Challenge) answered.challenges = numbers;
        else if (dispute.kind == Kind.Block) answered.blocks = numbers;
        else if (dispute.kind == Kind.Hashes) answered.hashes = numbers;
        // Of the block, of the whole, or of any range.
        uint64 from = dispute.number == 0 ? 0 : dispute.number - 1;
        uint64 to = dispute.number == 0 ? END : dispute.number;
        if (seed % 3 == 0) (from, to) = (0, END);
        // A jump over the parent.
        if (seed % 3 == 1 && dispute.number > 1) (from, to) = (dispute.number - 2, dispute.number);
        if (seed % 3 == 1 && (seed >> 16) % 4 == 0) {
            from = uint64((seed >> 32) % END);
            to = from + 1 + uint64((seed >> 40) % (END - from));
        }
        if (!_descends(from, to)) return false; // there is no proof of it
        success = _prove(from, to, answered);
        if (success && _isDead(dispute.claim)) ++provenWrong;
        else if (success) ++answeredByProof;
        else ++refusedLies;
    }

    function _prove(uint64 from, uint64 to, Answered memory answered) private returns (bool) {
        (ShownHash memory first, ShownHash memory last) = (shown(from), shown(to));
        Evidence memory value = prepare(first.blockHash, last.blockHash, Verdict.Valid, _truthOf(to));
        return _call(abi.encodeCall(court.prove, (shownLeaf(), terms, first, last, value, answered)));
    }

    function _call(bytes memory data) private returns (bool success) {
        (success,) = address(court).call(data);
    }

    function resolveOne(uint256 which) external {
        if (_opened.length == 0) return;
        _resolve(_opened[which % _opened.length]);
    }

    function _resolve(Opened memory dispute) private returns (bool success) {
        LeafName memory leaf = _claims[dispute.claim].name;
        success = _call(abi.encodeCall(court.resolve, (leaf, dispute.kind, dispute.number)));
        if (!success) return false;
        assertTrue(_claims[dispute.claim].lie != Lie.None, "I2: an honest claim doesn't die");
        ++unproven;
    }

    function reclaimOne(uint256 which) external {
        if (_opened.length == 0) return;
        _reclaim(_opened[which % _opened.length]);
    }

    function _reclaim(Opened memory dispute) private returns (bool success) {
        uint64 claimId = _claims[dispute.claim].name.claimId;
        success = _call(abi.encodeCall(court.reclaim, (claimId, 0, dispute.kind, dispute.number)));
        if (success) ++reclaimed;
    }

    function releaseOne(uint256 which) external {
        if (_claims.length != 0 && _call(abi.encodeCall(court.release, (_claims[which % _claims.length].name)))) {
            ++released;
        }
    }

    function settleOne(uint256 which) public returns (bool success) {
        if (_claims.length == 0) return false;
        which %= _claims.length;
        _load(which);
        (success,) = address(relayer)
            .call(abi.encodeCall(relayer.settle, (name.claimId, name.header, itemOf(_claims[which].lie), 0, noProof())));
        if (!success) return false;
        assertTrue(_claims[which].lie == Lie.None, "I1: no lie settles");
        ++settled;
    }

    function itemOf(Lie lie) private view returns (Settlement memory value) {
        value = item();
        if (lie != Lie.None && lie != Lie.LastHash) value.result = "lie";
    }

    function abortOne(uint256 which) public returns (bool success) {
        SessionConfig memory chosen = _configs[which % _configs.length];
        (success,) = address(relayer).call(abi.encodeCall(relayer.abort, (chosen, terms)));
        if (success) ++aborted;
    }

    function bindOne(uint256 which) external {
        if (_claims.length == 0) return;
        which %= _claims.length;
        if (_claims[which].lie != Lie.None) return;
        _load(which);
        try this.bindLoaded() {} catch (bytes memory) {}
    }

    function bindLoaded() external {
        bind();
    }

    function equivocate(uint256 seed) external {
        Preconfirmation memory one = sign(OPERATOR_KEY, uint64(1 + seed % 3), 1, keccak256("one"));
        Preconfirmation memory other = sign(OPERATOR_KEY, one.sessionId, 1, keccak256("other"));
        vm.prank(actors[(seed >> 8) % 4]);
        // Refused if it was reported before.
        try stakes.reportEquivocation(one, other.blockHash, other.signature) {} catch (bytes memory) {}
    }

    function moveStake(uint256 amount) external {
        (uint256 staying,,) = stakes.stakeOf(operator);
        vm.prank(operator);
        if (amount % 2 == 0) {
            stakes.beginStakeReturn(staying / 4);
        } else {
            try stakes.finishStakeReturn() {} catch (bytes memory) {}
        }
    }

    function withdrawSome(uint256 who, uint256 part) external {
        address account = actors[who % actors.length];
        uint256 amount = funds(account) / (1 + part % 3);
        vm.prank(account);
        court.withdraw(amount, account);
    }

    function passTime(uint256 seconds_) external {
        uint256 until = vm.getBlockTimestamp() + bound(seconds_, 0, seconds_ % 4 == 0 ? 12 hours : 6 minutes);
        doDuties(until, seconds_ >> 64);
        vm.warp(until);
    }

    // ---- what the honest do before time passes

    function doDuties(uint256 until, uint256 seed) public {
        uint256 count = _opened.length;
        for (uint256 i; i < count; ++i) {
            Opened memory dispute = _opened[i];
            if (_claims[dispute.claim].lie != Lie.None || _isDead(dispute.claim)) continue;
            (DisputeStatus found,, uint256 deadline) =
                court.disputeOf(_claims[dispute.claim].name.claimId, 0, dispute.kind, dispute.number);
            if (found != DisputeStatus.Open || until <= deadline) continue;
            _load(dispute.claim);
            if (!_answer(dispute, seed % 2 == 0 ? 3 : 2)) revert("I2: an honest claimant always has an answer");
        }
        for (uint256 i; i < _claims.length; ++i) {
            if (_claims[i].lie == Lie.None || _isDead(i)) continue;
            _load(i);
            if (until > windowEnd()) _oppose(i, seed >> i);
        }
    }

    /// @dev A wrong claim is killed at once, or put into a dispute that it can't win.
    function _oppose(uint256 which, uint256 seed) private {
        Lie lie = _claims[which].lie;
        Kind kind = lie == Lie.Garbage ? Kind.Leaf : Kind.Challenge;
        if (lie == Lie.Tail || lie == Lie.Interleaved || lie == Lie.Garbage) {
            uint64 number = lie == Lie.Garbage ? 0 : _doomed(lie);
            (DisputeStatus found,, uint256 deadline) = court.disputeOf(name.claimId, 0, kind, number);
            if (found == DisputeStatus.Open) {
                if (vm.getBlockTimestamp() > deadline) {
                    assertTrue(_resolve(Opened(which, kind, number)), "I1: resolved");
                }
                return;
            }
            assertTrue(found == DisputeStatus.None, "I1: a lie has no answer");
            if (lie != Lie.Garbage && seed % 2 == 0) {
                this.proveFaultLoaded(number);
                ++provenWrong;
            } else {
                assertTrue(_dispute(HONEST, which, kind, number), "I1: nobody is kept from a dispute");
            }
            return;
        }
        if (lie == Lie.Result) assertTrue(_prove(END - 1, END, nothing()), "I1: by proof");
        else this.disproveLoaded(lie);
        ++provenWrong;
        assertTrue(_isDead(which), "I1: dead");
    }

    function proveFaultLoaded(uint64 number) external {
        proveFault(number);
    }

    function disproveLoaded(Lie lie) external {
        if (lie == Lie.Genesis) court.disproveGenesis(shownLeaf(), terms, config, opening(), shown(0));
        else if (lie == Lie.Seed) court.disproveSeed(shownLeaf(), terms, config, openingHeader());
        else court.disproveRange(shownLeaf(), terms, shown(content.chain.lastNumber));
    }

    // ---- what must hold

    /// @dev INVARIANT I3
    function checkFunds() external view {
        _checkAccounts(court, 0);
        (uint256 staying, uint256 leaving,) = stakes.stakeOf(operator);
        _checkAccounts(stakes, staying + leaving);
        _checkAccounts(relayer, 0);
        uint256 bonds;
        for (uint256 i; i < _opened.length; ++i) {
            (DisputeStatus found,,) =
                court.disputeOf(_claims[_opened[i].claim].name.claimId, 0, _opened[i].kind, _opened[i].number);
            if (found == DisputeStatus.Open) bonds += court.bondOf(_opened[i].kind);
        }
        uint256 locked_;
        for (uint256 i; i < actors.length; ++i) {
            locked_ += lockedFunds(actors[i]);
        }
        assertEq(locked_, bonds, "I3: locked is what open disputes hold");
    }

    function _checkAccounts(IBondAccounts accounts, uint256 sum) private view {
        for (uint256 i; i <= actors.length; ++i) {
            (uint256 available_, uint256 locked_) = accounts.bondAccount(i == actors.length ? address(0) : actors[i]);
            sum += available_ + locked_;
        }
        assertEq(address(accounts).balance, sum, "I3: the balance is the sum of accounts");
    }

    /// @dev INVARIANT I1, I2
    function checkLeaves() external view {
        for (uint256 i; i < _claims.length; ++i) {
            (uint256 open, bool held, bool killed,, uint256 until) = court.leafState(_claims[i].name.claimId, 0);
            (uint32 disputes, bool killedThere,) = relayer.leafRecord(_claims[i].name.claimId, 0);
            assertTrue(killed == killedThere, "I1: dead here and there");
            assertTrue((disputes == 1) == held && disputes <= 1, "I1: held here and there");
            assertTrue(held || killed || open == 0, "I1: no dispute without a hold");
            assertTrue(!killed || _claims[i].lie != Lie.None, "I2: an honest claim lives");
            ClaimHeader memory header = _claims[i].name.header;
            uint256 end = uint256(header.claimedAt) + header.challengeWindow;
            assertTrue(until <= end + court.maxDisputeTime() - PROOF_WINDOW, "I2: no answer extends beyond the bound");
            if (open == 0 || killed) continue;
            for (uint256 k; k < _opened.length; ++k) {
                if (_opened[k].claim != i) continue;
                (,, uint256 deadline) = court.disputeOf(_claims[i].name.claimId, 0, _opened[k].kind, _opened[k].number);
                assertTrue(deadline <= end + court.maxDisputeTime(), "I2: no dispute lasts beyond the bound");
            }
        }
    }

    /// @dev INVARIANT I2, I3: from wherever the run ended, honest claims settle, lies die, and everybody gets his money without the operator.
    function checkNothingStuck() external {
        doDuties(type(uint128).max, 1);
        vm.warp(vm.getBlockTimestamp() + 60 days);
        for (uint256 i; i < _opened.length; ++i) {
            uint256 claim = _opened[i].claim;
            (DisputeStatus found,,) =
                court.disputeOf(_claims[claim].name.claimId, 0, _opened[i].kind, _opened[i].number);
            if (found != DisputeStatus.Open) continue;
            assertTrue(_isDead(claim) ? _reclaim(_opened[i]) : _resolve(_opened[i]), "I3: every dispute ends");
        }
        for (uint256 i; i < _claims.length; ++i) {
            (, bool held, bool killed,,) = court.leafState(_claims[i].name.claimId, 0);
            assertTrue(killed == (_claims[i].lie != Lie.None), "I1: lies are dead, and nothing else");
            if (held) court.release(_claims[i].name);
            relayer.releaseBond(_claims[i].name.claimId, _claims[i].name.header);
            if (status(_configs[_claims[i].session].sessionId) == SessionStatus.Open && !killed) {
                assertTrue(settleOne(i), "I2: honest claims settle");
            }
        }
        for (uint256 i; i < _configs.length; ++i) {
            if (status(_configs[i].sessionId) == SessionStatus.Open) assertTrue(abortOne(i), "I3: stakes go back");
        }
        for (uint256 i; i < actors.length; ++i) {
            _withdrawAll(court, actors[i]);
            _withdrawAll(relayer, actors[i]);
        }
        assertEq(address(court).balance, funds(address(0)), "I3: only what is burnt stays");
        assertEq(address(relayer).balance, available(address(0)), "I3: only what is burnt stays");
    }

    function _withdrawAll(IBondAccounts accounts, address account) private {
        (uint256 amount,) = accounts.bondAccount(account);
        vm.prank(account);
        accounts.withdraw(amount, account);
    }
}
