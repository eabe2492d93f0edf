-- Marks are asked for in company (`sql/functions/mark_sending.sql`); the function that took one goes.
DROP FUNCTION IF EXISTS mark_sending(bigint, bigint, bigint, bigint, bigint, bigint, float8, float8);
