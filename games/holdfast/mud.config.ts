import { defineWorld } from "@latticexyz/world";

// One World per session, so one match per World: what there is once is a singleton table.
export default defineWorld({
  enums: {
    Terrain: ["Grass", "Road", "Forest", "Hill", "Water", "Mountain"],
    StructureKind: ["None", "Keep", "Workshop", "Mine"],
    UnitKind: ["None", "Militia", "Pikeman", "Rider", "Archer", "Trebuchet"],
    Armour: ["Foot", "Horse", "Missile", "Engine"],
    Direction: ["North", "East", "South", "West"],
  },
  tables: {
    // Rules and maps: written while the template is built, the same for all matches.
    UnitType: {
      schema: {
        kind: "UnitKind",
        cost: "uint16", // gold
        movement: "uint8", // points per turn
        minRange: "uint8", // tiles
        maxRange: "uint8",
        armour: "Armour",
        power: "uint32", // byte i from the right: damage of a healthy unit to armour i on open ground, in hit points of 100
        siege: "uint8", // damage to a structure's garrison
        captures: "bool", // takes structures by standing on them
      },
      key: ["kind"],
    },
    Level: {
      schema: {
        levelId: "uint8",
        width: "uint8",
        height: "uint8",
        keeps: "uint8",
        tiles: "bytes", // row by row, one byte a tile: structure kind in the high nibble, terrain in the low one
      },
      key: ["levelId"],
    },

    // The match.
    MatchConfig: {
      schema: {
        sessionId: "uint64",
        beganAt: "uint64", // seconds since 1970
        turnSeconds: "uint32",
        turnLimit: "uint32",
        levelId: "uint8",
        width: "uint8",
        height: "uint8",
        playerCount: "uint8",
      },
      key: [],
    },
    Clock: {
      schema: {
        turn: "uint32", // the first is 1
        turnBeganAt: "uint64",
        ready: "uint8", // bit i: player i has ended the turn
        eliminated: "uint8", // players out of the match
      },
      key: [],
    },
    MatchFinished: { schema: { value: "bool" }, key: [] },
    MatchRanking: { schema: { value: "address[]" }, key: [] },

    // Players.
    PlayerNumber: {
      schema: { account: "address", value: "uint8" }, // from 1, so that 0 is nobody
      key: ["account"],
    },
    Player: {
      schema: {
        player: "uint8", // the number above
        account: "address",
        lastActiveTurn: "uint32", // 0: never acted
        unitSlots: "uint16", // bit i: the unit with slot i lives
        keepX: "uint8",
        keepY: "uint8",
        exit: "uint8", // 0: in the match; else the how-manieth to leave it
      },
      key: ["player"],
    },
    Treasury: {
      schema: { player: "uint8", gold: "uint32", income: "uint32", settledTurn: "uint32" },
      key: ["player"],
    },
    Tally: {
      schema: { player: "uint8", destroyed: "uint32", structures: "uint16", captures: "uint16" },
      key: ["player"],
    },

    // The board.
    TerrainRow: {
      schema: { y: "uint8", tiles: "uint128" }, // tile x in byte x from the right
      key: ["y"],
    },
    Structure: {
      schema: {
        x: "uint8",
        y: "uint8",
        kind: "StructureKind",
        owner: "uint8", // 0: nobody
        garrison: "uint8",
        siegedTurn: "uint32",
      },
      key: ["x", "y"],
    },
    Occupant: {
      schema: { x: "uint8", y: "uint8", unitId: "uint8" },
      key: ["x", "y"],
    },
    Unit: {
      schema: {
        unitId: "uint8", // (owner - 1) * 16 + slot + 1
        kind: "UnitKind",
        owner: "uint8",
        x: "uint8",
        y: "uint8",
        health: "uint8", // of 100
        movedTurn: "uint32",
        actedTurn: "uint32",
      },
      key: ["unitId"],
    },

    // For clients' animations; never read on chain.
    Combat: {
      schema: {
        attacker: "uint8",
        defender: "uint8",
        turn: "uint32",
        damage: "uint8",
        counterDamage: "uint8",
      },
      key: ["attacker", "defender"],
      type: "offchainTable",
    },
    Steps: {
      schema: { unitId: "uint8", turn: "uint32", fromX: "uint8", fromY: "uint8", path: "uint8[]" },
      key: ["unitId"],
      type: "offchainTable",
    },
  },
});
