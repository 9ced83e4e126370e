CREATE ROLE jupyterhub LOGIN CREATEDB PASSWORD 's3 cr@t:/%?#''';
CREATE DATABASE jupyterhub OWNER jupyterhub;
CREATE ROLE dashboard;
GRANT CONNECT ON DATABASE jupyterhub TO dashboard;
ALTER DATABASE jupyterhub SET work_mem = '5MB';
\connect jupyterhub
ALTER DEFAULT PRIVILEGES FOR ROLE jupyterhub GRANT SELECT ON TABLES TO dashboard;
