"""The REST API: thin handlers over the ledger and the rules, one file a noun.

How a noun plugs in:

1. `api/NOUN.py` holds its request and response structs (frozen msgspec) and one Litestar `Controller` with `path = "/v1/outreach/NOUN"` and `tags = ["NOUN"]`.
2. The controller is listed in `CONTROLLERS` of `api/app.py`.
3. A handler is a sync method with `sync_to_thread=True`. Path and query parameters are `FromPath[int]` and `FromQuery[...]`; everything else that it needs
   it asks for by name, as `Given[...]` (`api/given.py` lists what there is). `data: JSONBody[SomeStruct]` is the body: `api/body.py` answers every fault of it at once, fields
   that are not known among them, and asks the struct's own `faults()` for what types cannot say. A PATCH struct has `field: T | UnsetType = UNSET`.
4. It raises the errors of `cleanmails/errors.py`; `api/problems.py` turns them into problem details. An id of another workspace is NotFoundError, always:
   ledger functions take `workspace_id` and name it in their WHERE.
5. It is closed unless it says `public=True`; `needs=Permission.X` asks for more than `read` (safe methods) or `write` (all others). See `api/auth.py`.
6. A list takes `window: Given[Window]`, reads `window.fetch` rows after `window.after`, and answers `pages.page(rows, window, item)`.
7. `responses=reference.also(409)` declares statuses beyond those that follow from its shape; the handler's docstring is its description in the reference.
8. Commit, then `enqueue`: what a crash loses between the two, the sweep finds again.

    class Things(Controller):
        path = "/v1/outreach/things"
        tags = ["things"]

        @post(sync_to_thread=True, responses=also(409))
        def create(self, data: JSONBody[NewThing], database: Given[Database], principal: Given[Principal]) -> Thing:
            \"\"\"Make a thing.\"\"\"
            with database.transaction() as db:
                return _thing(things.create(db, principal.workspace_id, name=data.name))

        @get("/{thing_id:int}", sync_to_thread=True)
        def read(self, thing_id: FromPath[int], database: Given[Database], principal: Given[Principal]) -> Thing: ...
"""
