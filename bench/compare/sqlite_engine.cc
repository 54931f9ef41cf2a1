// SQLite: a table that is a B-tree of its primary key, and a log.

#include <sqlite3.h>

#include <memory>
#include <string>

#include "absl/strings/str_format.h"
#include "bench/compare/engines.h"

namespace peat::bench {
namespace {

class SqliteConnection final {
 public:
  explicit SqliteConnection(const Setup& setup) {
    Check(sqlite3_open_v2(
        (setup.directory + "/pairs.db").c_str(), &db_,
        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
        nullptr));
    Check(sqlite3_busy_timeout(db_, 60'000));
    if (setup.threads == 1) Run("PRAGMA locking_mode=EXCLUSIVE");
    Run(setup.loading ? "PRAGMA journal_mode=OFF" : "PRAGMA journal_mode=WAL");
    Run(setup.loading   ? "PRAGMA synchronous=OFF"
        : setup.durable ? "PRAGMA synchronous=FULL"
                        : "PRAGMA synchronous=NORMAL");
    Run(absl::StrFormat("PRAGMA cache_size=-%d", setup.cache_bytes >> 10));
    Run(absl::StrFormat("PRAGMA mmap_size=%d", setup.cache_bytes));
    Run("PRAGMA wal_autocheckpoint=131072");
    Run("CREATE TABLE IF NOT EXISTS pairs(k BLOB PRIMARY KEY, v BLOB NOT NULL) "
        "WITHOUT ROWID");
  }
  ~SqliteConnection() { Check(sqlite3_close(db_)); }
  SqliteConnection(const SqliteConnection&) = delete;
  SqliteConnection& operator=(const SqliteConnection&) = delete;

  void Run(const std::string& sql) {
    Check(sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr));
  }
  void Check(int result) {
    if (result != SQLITE_OK) Fail("sqlite", sqlite3_errmsg(db_));
  }
  sqlite3* db() { return db_; }

 private:
  sqlite3* db_ = nullptr;
};

// A prepared statement. Execute, then Reset.
class SqliteStatement final {
 public:
  SqliteStatement(SqliteConnection* connection, const char* sql)
      : connection_(connection) {
    connection_->Check(sqlite3_prepare_v3(connection_->db(), sql, -1,
                                          SQLITE_PREPARE_PERSISTENT,
                                          &statement_, nullptr));
  }
  ~SqliteStatement() { sqlite3_finalize(statement_); }
  SqliteStatement(const SqliteStatement&) = delete;
  SqliteStatement& operator=(const SqliteStatement&) = delete;

  // `bytes` must stay until Reset().
  void Bind(int index, std::string_view bytes) {
    connection_->Check(sqlite3_bind_blob(statement_, index, bytes.data(),
                                         static_cast<int>(bytes.size()),
                                         SQLITE_STATIC));
  }
  void Bind(int index, int number) {
    connection_->Check(sqlite3_bind_int(statement_, index, number));
  }
  // True: there is a row.
  bool Step() {
    const int result = sqlite3_step(statement_);
    if (result == SQLITE_ROW) return true;
    if (result != SQLITE_DONE) connection_->Check(result);
    return false;
  }
  std::string_view Column(int index) {
    return {static_cast<const char*>(sqlite3_column_blob(statement_, index)),
            static_cast<size_t>(sqlite3_column_bytes(statement_, index))};
  }
  void Reset() { connection_->Check(sqlite3_reset(statement_)); }
  void Run() {
    Step();
    Reset();
  }

 private:
  SqliteConnection* const connection_;
  sqlite3_stmt* statement_ = nullptr;
};

class SqliteSession final : public Session {
 public:
  explicit SqliteSession(const Setup& setup)
      : connection_(setup), loading_(setup.loading) {
    // One transaction for all, which only memory holds until its end.
    if (loading_) begin_write_.Run();
  }

  void Put(std::string_view key, std::string_view value) override {
    put_.Bind(1, key);
    put_.Bind(2, value);
    put_.Run();
  }

  bool PutIfAbsent(std::string_view key, std::string_view value) override {
    insert_.Bind(1, key);
    insert_.Bind(2, value);
    insert_.Run();
    return sqlite3_changes(connection_.db()) == 1;
  }

  void PutBatch(std::span<const Pair> pairs) override {
    if (!loading_) begin_write_.Run();
    for (const Pair& pair : pairs) Put(pair.key, pair.value);
    if (!loading_) commit_.Run();
  }

  void FinishLoad() override { commit_.Run(); }

  bool Get(std::string_view key, UseValue use) override {
    get_.Bind(1, key);
    const bool found = get_.Step();
    if (found) use(get_.Column(0));
    get_.Reset();
    return found;
  }

  void MultiGet(std::span<const std::string_view> keys,
                UseIndexed use) override {
    begin_.Run();
    Session::MultiGet(keys, use);
    commit_.Run();
  }

  void Scan(std::string_view from, int count, UsePair use) override {
    scan_.Bind(1, from);
    scan_.Bind(2, count);
    while (scan_.Step()) use(scan_.Column(0), scan_.Column(1));
    scan_.Reset();
  }

 private:
  SqliteConnection connection_;
  const bool loading_;
  SqliteStatement put_{&connection_,
                       "INSERT INTO pairs VALUES(?1, ?2) "
                       "ON CONFLICT(k) DO UPDATE SET v=excluded.v"};
  SqliteStatement insert_{&connection_,
                          "INSERT OR IGNORE INTO pairs VALUES(?1, ?2)"};
  SqliteStatement get_{&connection_, "SELECT v FROM pairs WHERE k=?1"};
  SqliteStatement scan_{
      &connection_, "SELECT k, v FROM pairs WHERE k>=?1 ORDER BY k LIMIT ?2"};
  SqliteStatement begin_{&connection_, "BEGIN"};
  SqliteStatement begin_write_{&connection_, "BEGIN IMMEDIATE"};
  SqliteStatement commit_{&connection_, "COMMIT"};
};

// Each session is a connection; with one thread the only one, so that it can
// hold the lock of the file throughout.
class Sqlite final : public Engine {
 public:
  explicit Sqlite(Setup setup) : setup_(std::move(setup)) {
    // Makes the file, and mends it after a crash.
    const SqliteConnection connection(setup_);
  }

  std::unique_ptr<Session> NewSession() override {
    return std::make_unique<SqliteSession>(setup_);
  }

 private:
  const Setup setup_;
};

}  // namespace

EngineEntry SqliteEngine() {
  return {
      .info =
          {.name = "SQLite",
           .version = SQLITE_VERSION,
           .survives = Survives::kKill,
           .verified = false,
           .ordered = true,
           .power_loss = "everything acknowledged before a checkpoint",
           .checks = "checksum of the log as it is replayed; else nothing",
           .settings =
               "a table WITHOUT ROWID (one B-tree, not two); log (WAL) with "
               "synchronous=NORMAL (handed to the kernel by each commit), FULL "
               "where writes must be durable; a cache and a mapping that all "
               "data fits in; checkpoints every 512 MiB of log (each writes "
               "most pages); "
               "prepared statements; exclusive locking with one thread (no "
               "system calls for locks)"},
      .open = [](const Setup& setup) -> std::unique_ptr<Engine> {
        return std::make_unique<Sqlite>(setup);
      }};
}

}  // namespace peat::bench
