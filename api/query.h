// From the query of a user to that of an engine. Pure functions.

#ifndef PEAT_API_QUERY_H_
#define PEAT_API_QUERY_H_

#include "engine/query/query.h"
#include "peat/query.h"

namespace peat {

engine::Query Reduce(const Query& query);

}  // namespace peat

#endif  // PEAT_API_QUERY_H_
